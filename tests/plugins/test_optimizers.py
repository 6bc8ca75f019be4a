"""torch's optimizers: fused, grouped by weight decay, their state fit for a checkpoint."""

import io
import json

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from frame import UserError
from frame_plugins.optimizers import SGD, Adam, AdamW

REFERENCES = [
    (SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01), torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (Adam(lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.01), torch.optim.Adam, {"betas": (0.8, 0.9), "eps": 1e-6}),
    (AdamW(lr=0.1, weight_decay=0.01), torch.optim.AdamW, {}),
]


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def train(model, optimizer, steps=4):
    for step in range(steps):
        optimizer.zero_grad()
        inputs = torch.linspace(-1, 1, 24, dtype=model[0].weight.dtype).view(6, 4) * (step + 1)
        model(inputs).square().sum().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize(("settings", "reference", "arguments"), REFERENCES, ids=["sgd", "adam", "adamw"])
def test_does_what_torchs_plain_form_does(settings, reference, arguments):
    model = network().double()
    (optimizer,) = settings.build(model)
    assert isinstance(optimizer, reference)
    assert optimizer.defaults["fused"]
    assert not optimizer.defaults["foreach"]
    plain = network().double()
    expected = train(
        plain, reference(plain.parameters(), lr=0.1, weight_decay=0.01, fused=False, foreach=False, **arguments)
    )
    torch.testing.assert_close(train(model, optimizer), expected)


@pytest.mark.parametrize("component", [SGD, Adam, AdamW])
class TestEveryOptimizer:
    def test_is_built_from_its_defaults(self, component):
        (optimizer,) = component().build(network())
        assert optimizer.param_groups[0]["lr"] == (0.1 if component is SGD else 1e-3)

    def test_goes_on_from_a_safely_loaded_checkpoint_to_the_same_bits(self, component):
        model = network()
        (optimizer,) = component().build(model)
        train(model, optimizer)
        file = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        expected = train(model, optimizer)

        file.seek(0)
        state = torch.load(file, weights_only=True)
        resumed = network()
        (again,) = component().build(resumed)
        resumed.load_state_dict(state["model"])
        again.load_state_dict(state["optimizer"])
        assert all(torch.equal(one, other) for one, other in zip(train(resumed, again), expected, strict=True))

    def test_takes_the_found_learning_rate_where_it_is_auto(self, component):
        settings = component.model_validate_json('{"lr": "auto"}', strict=True)
        assert settings.auto_fields() == ["lr"]
        (optimizer,) = settings.build(network(), lr=0.025)
        assert optimizer.param_groups[0]["lr"] == 0.025
        with pytest.raises(ValueError, match="none was found yet"):
            settings.build(network())
        (fixed,) = component(lr=0.5).build(network(), lr=0.025)
        assert fixed.param_groups[0]["lr"] == 0.5

    def test_groups_parameters_by_pattern(self, component):
        model = network()
        model[3].bias.requires_grad_(False)
        settings = component(weight_decay=0.2, weight_decay_of={"1.*": 0.0, "*.bias": 0.1})
        (optimizer,) = settings.build(model)
        found = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        expected = {"0.weight": 0.2, "0.bias": 0.1, "1.weight": 0.0, "1.bias": 0.0, "3.weight": 0.2}
        assert found == {id(model.get_parameter(name)): decay for name, decay in expected.items()}

    def test_names_a_pattern_that_matches_nothing(self, component):
        with pytest.raises(UserError, match=r"no trainable parameter matches '0\.weigth'; did you mean '0\.weight'"):
            component(weight_decay_of={"0.weigth": 0.0}).build(network())

    def test_refuses_a_frozen_model(self, component):
        with pytest.raises(UserError, match="no trainable parameter"):
            component().build(network().requires_grad_(False))

    @pytest.mark.parametrize(
        "wrong", [{"lr": 0}, {"lr": "automatic"}, {"weight_decay": -1}, {"weight_decay_of": {"a": -1}}]
    )
    def test_refuses_values_outside_their_range(self, component, wrong):
        with pytest.raises(ValidationError):
            component.model_validate_json(json.dumps(wrong), strict=True)


def test_nesterov_needs_momentum():
    with pytest.raises(ValidationError, match="nesterov needs a momentum"):
        SGD(momentum=0, nesterov=True)
    with pytest.raises(ValidationError):
        Adam(betas=(0.9, 1.0))
