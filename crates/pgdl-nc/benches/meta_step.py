"""The same meta-step in PyTorch: meta_step.py BATCH PRECISION THREADS SECONDS prints steps, seconds, CPU seconds."""

import math
import sys
import time

import torch
from torch import nn
from torch.nn.functional import huber_loss

WIDTH, HEADS, TRAIN, TEST, BANK = 512, 8, 10, 15, 10_000


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(2, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)
        )
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.attended = nn.Linear(WIDTH + 1, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.decoder = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, x_train, y_train, h_train, x_test, h_test):
        train = self.encoder(torch.cat([x_train, h_train], -1))
        test = self.encoder(torch.cat([x_test, h_test], -1))

        def by_head(tensor):
            return tensor.unflatten(-1, (HEADS, -1)).transpose(1, 2)

        query, key = by_head(self.query(test)), by_head(self.key(train))
        value = by_head(self.value(torch.cat([train, y_train.to(train.dtype)], -1)))
        weights = (query @ key.transpose(2, 3) / math.sqrt(WIDTH // HEADS)).softmax(-1)
        attended = (weights.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return self.decoder(test + self.attended(attended)).float().mean((1, 2))


def main():
    batch, precision, threads, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    torch.set_num_threads(threads)
    model = Model()
    adam = torch.optim.Adam(model.parameters(), 5e-4, fused=True)
    bank = [torch.randn(BANK, rows, 1) for rows in (TRAIN, TRAIN, TRAIN, TEST, TEST)] + [torch.randn(BANK)]

    def step():
        places = torch.randint(BANK, (batch,))
        *rows, gaps = [column[places] for column in bank]
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            estimates = model(*rows)
        loss = huber_loss(estimates, gaps)
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    step()
    steps, start, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - start < seconds or steps < 2:
        step()
        steps += 1
    print(steps, time.monotonic() - start, time.process_time() - cpu)


main()
