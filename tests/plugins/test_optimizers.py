"""torch's optimizers: fused, with parameter groups by pattern, their state fit for a checkpoint; Muon for filters."""

import io
import json

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from frame import UserError
from frame_plugins.optim.muon import Muon
from frame_plugins.optim.muon.filters import FilterMuon
from frame_plugins.optim.optimizers import SGD, Adam, AdamW

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


def rates_and_decays(model, *optimizers):
    """Learning rate and weight decay of each trainable parameter, by its name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return {names[p]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


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
        groups = [{"match": "1.*", "weight_decay": 0.0}, {"match": "*.bias", "lr_scale": 64}]
        settings = component.model_validate_json(json.dumps({"lr": 0.5, "weight_decay": 0.2, "groups": groups}))
        (optimizer,) = settings.build(model)
        assert rates_and_decays(model, optimizer) == {
            "0.weight": (0.5, 0.2),
            "0.bias": (32, 0.2),
            "1.weight": (0.5, 0),
            "1.bias": (0.5, 0),
            "3.weight": (0.5, 0.2),
        }
        assert optimizer.param_groups[0]["params"][0] is model[0].weight  # the plots' rate is that of most parameters

    def test_names_a_pattern_that_matches_nothing(self, component):
        wrong = component.model_validate_json('{"groups": [{"match": "0.weigth"}]}', strict=True)
        with pytest.raises(UserError, match=r"no trainable parameter matches '0\.weigth'; did you mean '0\.weight'"):
            wrong.build(network())

    def test_refuses_a_frozen_model(self, component):
        with pytest.raises(UserError, match="no trainable parameter"):
            component().build(network().requires_grad_(False))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"lr": 0},
            {"lr": "automatic"},
            {"weight_decay": -1},
            {"groups": [{"match": "a", "weight_decay": -1}]},
            {"groups": [{"match": "a", "lr_scale": 0}]},
            {"groups": [{"lr_scale": 2}]},
        ],
    )
    def test_refuses_values_outside_their_range(self, component, wrong):
        with pytest.raises(ValidationError):
            component.model_validate_json(json.dumps(wrong), strict=True)


def test_nesterov_needs_momentum():
    with pytest.raises(ValidationError, match="nesterov needs a momentum"):
        SGD(momentum=0, nesterov=True)
    with pytest.raises(ValidationError):
        Adam(betas=(0.9, 1.0))


def test_the_loss_summed_over_a_batch_is_another_rate_of_its_mean():
    """airbench's rates are for sums: with means, `lr` times the batch and `weight_decay` over it is the same step."""
    batch, rate, decay = 6, 1e-3, 1.5
    ends = []
    for divisor in (1, batch):
        model = network().double()
        (optimizer,) = SGD(lr=rate * divisor, momentum=0.85, nesterov=True, weight_decay=decay / divisor).build(model)
        for step in range(4):
            optimizer.zero_grad()
            inputs = torch.linspace(-1, 1, 4 * batch, dtype=torch.float64).view(batch, 4) * (step + 1)
            (model(inputs).square().sum() / divisor).backward()
            optimizer.step()
        ends.append([parameter.detach() for parameter in model.parameters()])
    torch.testing.assert_close(*ends)


class Readings(TorchDispatchMode):
    """Counts the times that a tensor's value is read back, which stalls a device."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("settings", [SGD(nesterov=True), Adam(), AdamW(), Muon(), Muon(normalize=True, others="sgd")])
def test_no_step_reads_a_value_back(settings):
    model = network()
    optimizers = settings.build(model)
    with Readings() as readings:
        for _ in range(2):
            torch.autograd.backward(model(torch.ones(6, 4)).square().sum())
            for optimizer in optimizers:
                optimizer.step()
    assert readings.count == 0


def newton_schulz(matrix, steps):
    """Jordan's iteration in double precision: x -> 3.4445 x - 4.7750 x^3 + 2.0315 x^5 on the singular values."""
    left, values, right = torch.linalg.svd(matrix.double() / matrix.double().norm(), full_matrices=False)
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ torch.diag(values) @ right


class TestMuon:
    def network(self):
        torch.manual_seed(3)
        body = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 2)]
        return nn.Sequential(*body, nn.Flatten(), nn.Linear(16, 2))

    @pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
    def test_does_what_airbench94_muon_does(self, order):
        """Normalise the weight, then take a step of length `lr` along the orthogonalised Nesterov momentum."""
        model = nn.Conv2d(8, 16, 3, bias=False).to(memory_format=order)
        (optimizer,) = Muon(lr=0.24, momentum=0.6, ns_steps=3, normalize=True).build(model)
        weight, momentum = model.weight.detach().clone(), torch.zeros(16, 8, 3, 3)
        for seed in range(4):
            gradient = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(seed))
            model.weight.grad = gradient.to(memory_format=order)
            optimizer.step()
            momentum = 0.6 * momentum + gradient
            update = newton_schulz((gradient + 0.6 * momentum).reshape(16, -1), 3).view(16, 8, 3, 3)
            weight = weight * 16**0.5 / weight.norm() - 0.24 * update.float()
            # the library iterates in bf16
            assert (model.weight - weight).norm() < 0.02 * weight.norm()

    def test_without_normalising_it_is_torchs_muon_of_the_matrix(self):
        model = nn.Conv2d(2, 16, 2, bias=False)
        (optimizer,) = Muon(lr=0.1, weight_decay=0.3).build(model)
        flat = nn.Parameter(model.weight.detach().clone().flatten(1))
        reference = torch.optim.Muon([flat], lr=0.1, weight_decay=0.3, momentum=0.95)
        for _ in range(3):
            model.weight.grad = torch.randn(16, 2, 2, 2)
            flat.grad = model.weight.grad.flatten(1)
            optimizer.step()
            reference.step()
        assert torch.equal(model.weight.flatten(1), flat)

    @pytest.mark.parametrize(("others", "form"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
    def test_leaves_biases_norms_and_what_is_excluded_to_another(self, others, form):
        model = self.network()
        groups = [{"match": "*.bias", "lr_scale": 10, "weight_decay": 0}, {"match": "3.weight", "lr_scale": 2}]
        settings = {"lr": 0.2, "others": others, "others_lr": 0.1, "others_weight_decay": 0.5, "exclude": ["5.*"]}
        muon, other = Muon.model_validate_json(json.dumps({**settings, "groups": groups}), strict=True).build(model)
        assert isinstance(muon, FilterMuon)
        assert isinstance(other, form)
        assert other.defaults["fused"]
        assert rates_and_decays(model, muon) == {"0.weight": (0.2, 0), "3.weight": (0.4, 0)}
        norm, head = {"1.weight": (0.1, 0.5)}, {"5.weight": (0.1, 0.5)}
        assert rates_and_decays(model, other) == norm | head | {f"{i}.bias": (1.0, 0) for i in (0, 1, 3, 5)}

    def test_names_an_excluded_pattern_that_matches_nothing(self):
        with pytest.raises(UserError, match=r"no trainable parameter matches '5\.weigth'; did you mean '5\.weight'"):
            Muon(exclude=("5.weigth",)).build(self.network())
