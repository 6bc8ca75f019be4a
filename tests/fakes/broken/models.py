"""Models, losses and evaluators that each break one promise."""

# ruff: noqa: E501 - one line a case

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from frame.testing import TinyNet

from .common import COUNT, net


class Net(TinyNet):
    """A TinyNet with a different end."""

    def __init__(self, data, end):
        super().__init__(data.channels, data.num_classes)
        self.end = end

    def forward(self, images):
        return self.end(self, super().forward(images))


def model(end):
    return lambda self, data: Net(data, end)


def sleeps(net, logits):
    net.eval()
    return logits


def counts_calls(net, logits):
    net.stem[1].running_mean += 1
    return logits


class Forgetful(TinyNet):
    """Keeps a weight where no checkpoint looks."""

    def __init__(self, data):
        super().__init__(data.channels, data.num_classes)
        self.scale = torch.rand(1)

    def forward(self, images):
        return super().forward(images) * self.scale


def with_history(self, data):
    built = net(data)
    built.last = built.head.weight * 2
    return built


def frozen(self, data):
    return net(data).requires_grad_(False)


def idle(self, data):
    built = net(data)
    built.aside = nn.Linear(2, 2)
    return built


def grey_only(self, data):
    return TinyNet(1, data.num_classes)


class Takes(TinyNet):
    """Takes its first weights from the images in some way."""

    def __init__(self, data, way):
        super().__init__(data.channels, data.num_classes)
        self.way = way

    def init_from_data(self, images):
        self.way(self.head.weight, images)


def takes(way):
    return lambda self, data: Takes(data, way)


MODELS = [
    ("answers_a_batch_of_any_size", "size the last layer by data.num_classes", lambda self, data: TinyNet(data.channels, 7)),
    ("answers_a_batch_of_any_size", "3 channels raised RuntimeError", grey_only),
    ("answers_a_batch_of_any_size", "logits are torch.float64, not float32", model(lambda net, logits: logits.double())),
    ("answers_a_batch_of_any_size", "not finite; look at the initial weights", model(lambda net, logits: logits / 0)),
    ("answers_a_batch_of_any_size", "returns tuple, not a tensor of logits", model(lambda net, logits: (logits, logits))),
    ("answers_with_logits", "ends in a softmax: return the logits", model(lambda net, logits: logits.softmax(1))),
    ("answers_with_logits", "ends in a softmax: return the logits", model(lambda net, logits: logits.log_softmax(1))),
    ("answers_each_image_for_itself", "use no statistics of the batch", model(lambda net, logits: logits - logits.mean(0))),
    ("eval_mode_changes_nothing", "update weights and buffers in training only", model(counts_calls)),
    ("eval_mode_changes_nothing", "take no random numbers there", model(lambda net, logits: logits + torch.rand(1))),
    ("every_parameter_gets_a_gradient", "aside.weight, aside.bias of Broken gets no gradient: use it in forward()", idle),
    ("every_parameter_gets_a_gradient", "no trainable parameter", frozen),
    ("every_parameter_gets_a_gradient", "is not finite: look for a 0/0", model(lambda net, logits: (logits - logits.detach()).sqrt() + logits)),
    ("weights_come_back", "keep all it has learnt in parameters and buffers", lambda self, data: Forgetful(data)),
    ("init_from_data_is_repeatable", "changes the images: work on a copy", takes(lambda weight, images: images.mul_(2))),
    ("init_from_data_is_repeatable", "take no random numbers", takes(lambda weight, images: weight.fill_(next(COUNT)))),
    ("init_from_data_is_repeatable", "leaves head.weight not finite", takes(lambda weight, images: weight.div_(0))),
    ("can_be_copied", "keep no tensor with a history", with_history),
]  # fmt: skip


def loss(function):
    return lambda self, data: function


LOSSES = [
    ("is_a_finite_scalar", "return the mean over the batch", loss(lambda x, y: cross_entropy(x, y, reduction="none"))),
    ("is_a_finite_scalar", "returns float, not a tensor", loss(lambda x, y: float(cross_entropy(x, y)))),
    ("is_a_finite_scalar", "look for a log(0) or 0/0", loss(lambda x, y: cross_entropy(x, y) / 0)),
    ("is_finite_for_certain_answers", "use a log_softmax", loss(lambda x, y: -x.softmax(1)[range(len(y)), y].log().mean())),
    ("has_a_gradient", "without detach or argmax", loss(lambda x, y: cross_entropy(x.detach(), y) + 0 * x.sum())),
    ("has_a_gradient", "compute it with torch", loss(lambda x, y: torch.tensor(1.0))),
    ("is_less_for_right_answers", "turn its sign", loss(lambda x, y: -cross_entropy(x, y))),
    ("is_the_mean_over_the_batch", "return the mean, not the sum", loss(lambda x, y: cross_entropy(x, y, reduction="sum"))),
    ("leaves_the_global_generators_alone", "the global generator of torch", loss(lambda x, y: cross_entropy(x + torch.rand(1), y))),
]  # fmt: skip


def restless(model, images):
    model.train()
    return model(images)


def erases(model, images):
    return model(images.zero_())


def heavier(model, images):
    model.head.weight.data += 1
    return model(images)


EVALUATORS = [
    ("answers_with_logits", "are (1,), not (1, 10)", loss(lambda model, images: model(images).argmax(1))),
    ("answers_with_logits", "not finite", loss(lambda model, images: model(images) / 0)),
    ("answers_each_image_for_itself", "treat each by itself", loss(lambda model, images: model(images - images.mean(0)))),
    ("leaves_the_model_as_it_was", "train or eval mode: put it back", loss(restless)),
    ("leaves_the_model_as_it_was", "changes the model's ['head.weight']: work on a copy", loss(heavier)),
    ("leaves_the_model_as_it_was", "changes the images that it is given", loss(erases)),
]  # fmt: skip
