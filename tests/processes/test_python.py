"""`logpx.fit` in a script that a launcher starts in several processes: the same result in all of them."""

import pytest

pytestmark = pytest.mark.slow

FIT = """
import hashlib, json, logpx
torch.manual_seed(0)
generator = torch.Generator().manual_seed(1)
x = torch.randn(300, 2, generator=generator)
x[:, 1] += x[:, 0]

def shown(result):
    content = b"".join(tensor.numpy().tobytes() for tensor in result.model.state_dict().values())
    print(hashlib.sha256(content).hexdigest(), json.dumps(result.to_dict(), default=str))
"""
OF_MODELS = """
model = logpx.flows.RealNVP(features=2, layers=2, hidden=(8,))
result = logpx.fit(model, x, max_steps=30, batch_size=64)
assert result.model is model
print(len(result.history), model.log_prob(x[:2]).tolist())
shown(result)
"""
OF_TABLES = """
for name in ("gmm", "maf"):
    result = logpx.fit(name, {"a": x[:, 0], "b": x[:, 1]}, max_steps=30)
    print(result, result.model.log_prob(x[:3].double()).tolist())
    shown(result)
"""
OF_ERRORS = """
try:
    logpx.fit("gmm", {"a": ["x", "y"] * 50}, components=2)
except logpx.errors.DataError as error:
    print("data")
try:
    logpx.fit("none", {"a": x[:, 0]})
except logpx.errors.UsageError as error:
    print("usage")
"""


OF_FAMILIES = """
import numpy as np
generator = np.random.default_rng(0)
a, b = generator.normal(size=(2, 3000))
table = {"a": a, "b": b**3, "c": generator.integers(0, 3, 3000)}
numbers = {name: table[name] for name in "ab"} | {"c": table["a"] + generator.normal(size=3000)}
holes = numbers | {"b": np.where(generator.random(3000) < 0.1, np.nan, numbers["b"])}
tables = {"gaussian": numbers, "fa": holes, "nsf": numbers, "autoregressive": table, "vae": numbers}
for name, data in tables.items():
    result = logpx.fit(name, data, max_steps=8, **({} if name != "fa" else {"latent": 1}))
    print(name, result.chosen.validation)
"""


def test_every_kind_of_model_is_that_of_one_process(several, alone):
    processes = several(FIT + OF_FAMILIES, 2)
    (one, errors), (other, _) = [process.communicate(timeout=280) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert one == other
    together = dict(line.split() for line in one.splitlines())
    single = dict(line.split() for line in alone(FIT + OF_FAMILIES)[0].splitlines())
    assert list(together) == list(single) == ["gaussian", "fa", "nsf", "autoregressive", "vae"]
    for name, value in single.items():
        # What a VAE draws differs.
        assert float(together[name]) == pytest.approx(float(value), abs=1e-4 if name != "vae" else 0.1), name


@pytest.mark.parametrize("script", [OF_MODELS, OF_TABLES, OF_ERRORS])
def test_every_process_has_the_result(several, script):
    processes = several(FIT + script, 2)
    (one, _), (other, errors) = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert one == other
    assert len(one) > 5
