"""Recipes that several tests begin with."""

MINIMAL = """\
data: {use: digits}
model: {use: custom_resnet}
loss: {use: cross_entropy}
optimizer: {use: adam}
train: {epochs: 1}
"""
