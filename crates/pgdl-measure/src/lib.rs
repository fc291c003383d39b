//! What a complexity measure is: the trait, the probe with its shared quantities, the registry.
