"""Every transform: its round trip, and its ladj against the Jacobian that autodiff finds."""

import pytest
import torch

EXACT = {"rtol": 1e-9, "atol": 1e-9}


def there_and_back(transform, direction, inputs, context):
    there, back = (transform.forward, transform.inverse)[:: 1 if direction == "forward" else -1]
    return back(there(inputs, context)[0], context)[0]


def test_round_trip(case, directions):
    transform = case.make()
    context = case.context(transform, 64)
    for direction in directions():
        inputs = case.inputs(transform, direction, 64)
        torch.testing.assert_close(there_and_back(transform, direction, inputs, context), inputs, **EXACT)


def test_round_trip_far_outside(case_onto_reals, directions):
    case, transform = case_onto_reals, case_onto_reals.make()
    x = 1e3 * case.rows(transform, 64)
    context = case.context(transform, 64)
    for direction in directions():
        returned = there_and_back(transform, direction, x, context)
        torch.testing.assert_close(returned, x, rtol=1e-9, atol=1e-7)


def test_round_trip_in_single_precision(case):
    transform = case.make(torch.float32)
    x, context = (
        case.rows(transform, 512, dtype=torch.float32),
        case.context(transform, 512, dtype=torch.float32),
    )
    back = transform.inverse(transform.forward(x, context)[0], context)[0]
    torch.testing.assert_close(back, x, rtol=case.float32, atol=case.float32)


def test_single_precision_agrees_with_double(case, directions):
    transform, single = case.make(), case.make(torch.float32)
    context = case.context(transform, 512)
    tolerance = {"rtol": 10 * case.float32, "atol": 10 * case.float32}
    for direction in directions():
        inputs = case.inputs(transform, direction, 512)
        exact = getattr(transform, direction)(inputs, context)
        rounded = (inputs.float(), None if context is None else context.float())
        for found, expected in zip(getattr(single, direction)(*rounded), exact, strict=True):
            torch.testing.assert_close(found.double(), expected, **tolerance)


def test_ladj_is_that_of_the_autodiff_jacobian(case, directions):
    transform = case.make()
    for direction in directions():
        inputs = case.inputs(transform, direction, 16).requires_grad_()
        y, ladj = getattr(transform, direction)(inputs, case.context(transform, 16))
        sign, expected = torch.linalg.slogdet(case.jacobian(y, inputs))
        assert (sign != 0).all()
        torch.testing.assert_close(ladj, expected, **EXACT)


def ladj_by_a_newton_step(case, transform, y, inputs, context):
    """Return the ladj of an iterated direction, from the other one, with first derivatives by autodiff.

    A Newton step from the solution does not move it, but carries the gradient that the implicit function
    theorem gives.
    """
    back = transform.forward if case.iterated == "inverse" else transform.inverse
    at = y.clone().requires_grad_()
    jacobian = case.jacobian(back(at, context)[0], at)
    residual = (back(y, context)[0] - inputs).flatten(1).unsqueeze(-1)
    solution = y - torch.linalg.solve(jacobian, residual).reshape(y.shape)
    again = back(solution, context)[0]
    return -torch.linalg.slogdet(case.jacobian(again, solution, differentiable=True))[1]


def test_gradient_of_ladj_is_that_of_the_autodiff_ladj(case, direction):
    if not case.twice_differentiable:
        pytest.skip("the autodiff Jacobian has no gradient; test_reversible.py compares with Chain instead")
    transform = case.make()
    inputs, context = case.inputs(transform, direction, 6).requires_grad_(), case.context(transform, 6)
    y, ladj = getattr(transform, direction)(inputs, context)
    if direction == case.iterated:
        expected = ladj_by_a_newton_step(case, transform, y.detach(), inputs, context)
    else:
        expected = torch.linalg.slogdet(case.jacobian(y, inputs, differentiable=True))[1]
    wanted = [inputs, *transform.parameters()]

    def gradients(values):
        if not values.requires_grad:
            return [torch.zeros_like(tensor) for tensor in wanted]
        return torch.autograd.grad(values.sum(), wanted, retain_graph=True, materialize_grads=True)

    for found, correct in zip(gradients(ladj), gradients(expected), strict=True):
        torch.testing.assert_close(found, correct, **EXACT)
