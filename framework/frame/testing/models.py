"""The contracts of models, losses and evaluators: what is built for some data and works on tensors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from math import isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..api.components import Component, EvaluatorComponent, LossComponent, ModelComponent
from ..compute.randomness import rng_untouched, seed_everything
from ..errors import FrameError
from .contract import ComponentContract
from .examples import TinyNet, model_inputs
from .guards import difference, doing, fail, modes, require, saved_and_loaded, weights

BATCH = 4
CLOSE = 1e-4
"""Answers to one image, alone and in a batch, differ by rounding."""


class ModelContract(ComponentContract):
    """What a model promises: logits of any batch, gradients, weights that come back."""

    kind: ClassVar[type[Component]] = ModelComponent
    may_draw: ClassVar[bool] = True  # its initial weights

    def build(self, channels: int | None = None, seed: int = 0) -> nn.Module:
        """Return the module as the host builds it, right after seeding."""
        with rng_untouched():
            seed_everything(seed)
            return self._built(channels)

    def inputs(self, count: int, channels: int | None = None) -> Tensor:
        height, width, own = self.image_shape
        return model_inputs(count, (height, width, channels or own))

    def outcome(self) -> Any:
        model = self._built()
        with torch.inference_mode():
            logits = model.eval()(self.inputs(2))
        return [weights(model), logits]

    def test_answers_a_batch_of_any_size(self) -> None:
        for channels, model in self._of_all_channels():
            for count, training in ((1, False), (BATCH, False), (BATCH, True)):
                mode = "train" if training else "eval"
                what = f"{self.name} in {mode} mode, a batch of {count} with {channels} channels"
                with rng_untouched(), torch.no_grad(), doing(what, "it maps (N, C, H, W) float to (N, classes)"):
                    logits = model.train(training)(self.inputs(count, channels))
                self._check_logits(logits, count, what)

    def test_answers_with_logits(self) -> None:
        with rng_untouched(), torch.no_grad(), doing(self.name):
            logits = self.build().eval()(self.inputs(BATCH))
            shares = logits.exp() if bool((logits <= 0).all()) else logits
        is_share = bool((shares >= 0).all()) and bool(((shares.sum(1) - 1).abs() < CLOSE).all())
        message = "ends in a softmax: return the logits, the loss and the predictions apply their own"
        require(not is_share, f"{self.name} {message}")

    def test_answers_each_image_for_itself(self) -> None:
        model, images = self.build().eval(), self.inputs(BATCH)
        with rng_untouched(), torch.no_grad(), doing(self.name):
            together, alone = model(images), torch.cat([model(images[i : i + 1]) for i in range(BATCH)])
        require(
            torch.allclose(together, alone, atol=CLOSE, rtol=CLOSE),
            f"{self.name} in eval mode answers an image differently in another batch (by up to "
            f"{float((together - alone).abs().max()):.2g}): use no statistics of the batch in eval mode",
        )

    def test_eval_mode_changes_nothing(self) -> None:
        model, images = self.build().eval(), self.inputs(BATCH)
        mode, before = modes(model), weights(model)
        with rng_untouched(), torch.no_grad(), doing(self.name):
            first, second = model(images), model(images)
        where = difference(before, weights(model))
        require(where is None, f"{self.name} changes {where} in eval mode: update weights and buffers in training only")
        message = "answers differently the second time in eval mode: take no random numbers there (self.training)"
        require(torch.equal(first, second), f"{self.name} {message}")
        message = "changes the train or eval mode of its modules in forward(): leave that to the host"
        require(modes(model) == mode, f"{self.name} {message}")

    def test_every_parameter_gets_a_gradient(self) -> None:
        model = self.build().train()
        trainable = {name: one for name, one in model.named_parameters() if one.requires_grad}
        require(trainable, f"{self.name} has no trainable parameter: leave requires_grad on for some")
        with rng_untouched(), doing(f"the backward pass of {self.name}"):
            logits = model(self.inputs(BATCH))
            torch.autograd.backward(cross_entropy(logits, torch.arange(BATCH) % self.classes))
        gradients = {name: one.grad for name, one in trainable.items()}
        idle = [name for name, gradient in gradients.items() if gradient is None]
        message = "use it in forward(), leave it out, or set requires_grad=False"
        require(not idle, f"{', '.join(idle)} of {self.name} gets no gradient: {message}")
        wild = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
        require(not wild, f"the gradient of {', '.join(wild)} of {self.name} is not finite: look for a 0/0 or a log(0)")

    def test_cam_layers_exist(self) -> None:
        layers = self.ready().cam_layers()
        require(not isinstance(layers, str), f"cam_layers() of {self.name} is a text: return a tuple of names")
        known = dict(self.build().named_modules())
        unknown = [layer for layer in layers if layer not in known]
        some = ", ".join([name for name in known if name][:8])
        message = f"names no layer {', '.join(map(repr, unknown))} of the module; there is {some}, ..."
        require(not unknown, f"cam_layers() of {self.name} {message}")

    def test_weights_come_back(self) -> None:
        """From a checkpoint, into a model that was built with another seed."""
        first, second = self.build(seed=0).eval(), self.build(seed=1)
        state = saved_and_loaded(first.state_dict(), self.name)
        with doing(f"loading the weights of {self.name}"):
            second.load_state_dict(state)
        with rng_untouched(), torch.no_grad():
            images = self.inputs(2)
            same = torch.equal(first(images), second.eval()(images))
        message = "answers differently with its weights loaded: keep all it has learnt in parameters and buffers"
        require(same, f"{self.name} {message}")

    def test_init_from_data_is_repeatable(self) -> None:
        """For a module that has that method: the host calls it once, on training images (N, C, H, W)."""
        first, second = self.build(), self.build()
        images = self.inputs(64)
        given = images.clone()
        for model in (first, second):
            init: Any = getattr(model, "init_from_data", None)
            if init is None:
                return
            with rng_untouched(), torch.no_grad(), doing(f"init_from_data() of {self.name}"):
                init(images)
        require(torch.equal(images, given), f"init_from_data() of {self.name} changes the images: work on a copy")
        where = difference(weights(first), weights(second))
        message = "comes to other weights the second time: take no random numbers, or from a generator of its own"
        require(where is None, f"init_from_data() of {self.name} {message}; {where} differs")
        for name, value in first.state_dict().items():
            require(bool(value.isfinite().all()), f"init_from_data() of {self.name} leaves {name} not finite")

    def test_can_be_copied(self) -> None:
        """As the LR finder and moving averages do."""
        model = self.build().eval()
        advice = "keep no tensor with a history and nothing open in it"
        with rng_untouched(), torch.no_grad(), doing(f"copy.deepcopy of {self.name}", advice):
            twin = copy.deepcopy(model)
            images = self.inputs(2)
            same = torch.equal(model(images), twin(images))
        require(same, f"a copy of {self.name} answers differently: keep all it uses in its modules")

    def _built(self, channels: int | None = None) -> nn.Module:
        model = self.ready().build(self.info(channels))
        require(isinstance(model, nn.Module), f"{self.name}.build returned {type(model).__name__}, not an nn.Module")
        return model

    def _of_all_channels(self) -> Iterator[tuple[int, nn.Module]]:
        """Yield a model for each number of channels; it may refuse any but that of `image_shape` with a UserError."""
        for channels in self.channels():
            try:
                with doing(f"{self.name} for images of {channels} channels", "refuse what it cannot do: UserError"):
                    yield channels, self.build(channels)
            except AssertionError as error:
                if channels == self.image_shape[2] or not isinstance(error.__cause__, FrameError):
                    raise

    def _check_logits(self, logits: Any, count: int, what: str) -> None:
        require(isinstance(logits, Tensor), f"{what}: it returns {type(logits).__name__}, not a tensor of logits")
        shape, right = tuple(logits.shape), (count, self.classes)
        require(shape == right, f"{what}: logits are {shape}, not {right}; size the last layer by data.num_classes")
        require(logits.dtype == torch.float32, f"{what}: logits are {logits.dtype}, not float32")
        require(bool(logits.isfinite().all()), f"{what}: logits are not finite; look at the initial weights")


class LossContract(ComponentContract):
    """What a loss promises: a finite scalar, the mean over the batch, that can be differentiated."""

    kind: ClassVar[type[Component]] = LossComponent

    def build(self) -> Any:
        loss = self.ready().build(self.info())
        require(callable(loss), f"{self.name}.build returned {type(loss).__name__}, not (logits, targets) -> loss")
        return loss

    def batch(self, count: int = 8) -> tuple[Tensor, Tensor]:
        """Return logits (N, classes), which want a gradient, and targets (N,)."""
        logits = model_inputs(count, (1, 1, self.classes)).flatten(1)
        return logits.requires_grad_(), torch.arange(count) % self.classes

    def outcome(self) -> Any:
        logits, targets = self.batch()
        loss = self.build()(logits, targets)
        loss.backward()
        return [loss.detach(), logits.grad]

    def test_is_a_finite_scalar(self) -> None:
        for count in (1, 8):
            logits, targets = self.batch(count)
            with doing(f"{self.name} of {count} images"):
                loss = self.build()(logits, targets)
            require(isinstance(loss, Tensor), f"{self.name} returns {type(loss).__name__}, not a tensor")
            message = f"is of shape {tuple(loss.shape)}, not a scalar: return the mean over the batch"
            require(loss.shape == (), f"{self.name} of {count} images {message}")
            value = float(loss.detach())
            require(isfinite(value), f"{self.name} of {count} images is {value}: look for a log(0) or 0/0")

    def test_is_finite_for_certain_answers(self) -> None:
        _, targets = self.batch()
        sure = 200 * torch.eye(self.classes)[targets]
        for logits, which in ((sure, "right"), (sure.roll(1, 1), "wrong")):
            with doing(f"{self.name} of certain, {which} answers"):
                value = float(self.build()(logits, targets))
            message = f"of certain, {which} answers is {value}: clamp, or use a log_softmax"
            require(value == value and abs(value) != float("inf"), f"{self.name} {message}")

    def test_has_a_gradient(self) -> None:
        logits, targets = self.batch()
        with doing(f"the backward pass of {self.name}", "compute it with torch from the logits"):
            self.build()(logits, targets).backward()
        gradient = logits.grad
        if gradient is None or not bool(gradient.any()):
            fail(f"{self.name} gives the logits no gradient: compute it with torch from them, without detach or argmax")
        message = "the gradient is not finite: look for a log(0) or 0/0"
        require(bool(gradient.isfinite().all()), f"{self.name}: {message}")

    def test_is_less_for_right_answers(self) -> None:
        _, targets = self.batch()
        right = 3 * torch.eye(self.classes)[targets]
        with doing(self.name):
            good, bad = (float(self.build()(logits, targets)) for logits in (right, right.roll(1, 1)))
        require(good < bad, f"{self.name} is {good:.4g} for right answers and {bad:.4g} for wrong ones: turn its sign")

    def test_is_the_mean_over_the_batch(self) -> None:
        logits, targets = self.batch()
        with doing(self.name):
            once = float(self.build()(logits, targets))
            twice = float(self.build()(logits.repeat(2, 1), targets.repeat(2)))
        message = f"of a batch that is repeated is {twice:.6g} instead of {once:.6g}: return the mean, not the sum"
        require(abs(once - twice) <= 1e-4 * max(1.0, abs(once)), f"{self.name} {message}")


class EvaluatorContract(ComponentContract):
    """What an evaluator promises: logits of any batch, and a model that is as before."""

    kind: ClassVar[type[Component]] = EvaluatorComponent

    def answer(self, model: nn.Module, images: Tensor) -> Any:
        """Ask as the host does: in inference mode, the model in eval mode."""
        evaluate = self.ready().build(self.info())
        require(
            callable(evaluate), f"{self.name}.build returned {type(evaluate).__name__}, not (model, images) -> logits"
        )
        with torch.inference_mode():
            return evaluate(model, images)

    def model(self) -> nn.Module:
        with rng_untouched():
            torch.manual_seed(0)
            return TinyNet(self.image_shape[2], self.classes).eval()

    def outcome(self) -> Any:
        return self.answer(self.model(), model_inputs(BATCH, self.image_shape))

    def test_answers_with_logits(self) -> None:
        for count in (1, BATCH):
            with doing(f"{self.name} of {count} images"):
                logits = self.answer(self.model(), model_inputs(count, self.image_shape))
            require(isinstance(logits, Tensor), f"{self.name} returns {type(logits).__name__}, not a tensor of logits")
            shape, right = tuple(logits.shape), (count, self.classes)
            require(shape == right, f"{self.name}: the logits of {count} images are {shape}, not {right}")
            require(bool(logits.isfinite().all()), f"{self.name}: the logits are not finite")

    def test_answers_each_image_for_itself(self) -> None:
        images, model = model_inputs(BATCH, self.image_shape), self.model()
        with doing(self.name):
            together = self.answer(model, images)
            alone = torch.cat([self.answer(model, images[i : i + 1]) for i in range(BATCH)])
        message = "answers an image differently in another batch: treat each by itself"
        require(torch.allclose(together, alone, atol=CLOSE), f"{self.name} {message}")

    def test_leaves_the_model_as_it_was(self) -> None:
        model, images = self.model(), model_inputs(BATCH, self.image_shape)
        mode, before, pixels = modes(model), weights(model), images.clone()
        with doing(self.name):
            self.answer(model, images)
        require(modes(model) == mode, f"{self.name} changes the model's train or eval mode: put it back")
        where = difference(before, weights(model))
        require(where is None, f"{self.name} changes the model's {where}: work on a copy")
        require(torch.equal(pixels, images), f"{self.name} changes the images that it is given: work on a copy")
