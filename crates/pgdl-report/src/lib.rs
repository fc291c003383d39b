//! Leaderboards, rankings and tables from records and from values computed elsewhere.
