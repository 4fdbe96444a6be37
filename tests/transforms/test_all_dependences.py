"""Every transform: what may depend on what does, and nothing else does."""

import itertools

import pytest
import torch

from logpx.errors import UsageError
from logpx.transforms import (
    Autoregressive,
    AutoregressiveConvolution,
    Chain,
    Concatenate,
    Convolution1x1,
    Coupling,
    Indexed,
    Inverse,
    Linear,
    MintLayer,
    MultiScale,
    Permutation,
    PermutationMatrix,
    Planar,
    Radial,
    Reverse,
    Squeezed,
    TriangularAffine,
)
from logpx.transforms.squeezed import squeeze


def elements(partition):
    """Return the places of the kept and of the moved elements in the flattened event."""
    places = torch.arange(torch.Size(partition.event_shape).numel()).view(partition.event_shape)
    return [part.flatten() for part in partition.split(places)]


def of_convolution(shape, reach, reverse):
    """Return which output sees which input, by their distance and the order row, column, channel."""
    places = list(itertools.product(*map(range, shape)))
    pattern = torch.zeros(len(places), len(places))
    for (i, (c, y, x)), (j, (d, v, u)) in itertools.product(enumerate(places), repeat=2):
        near = max(abs(y - v), abs(x - u)) <= reach
        before = (v, u, d) >= (y, x, c) if reverse else (v, u, d) <= (y, x, c)
        pattern[i, j] = near and before
    return pattern


def of_matrix(matrix, forward):
    """Return which row depends on which column: for a permutation on one, else on all."""
    if isinstance(matrix, PermutationMatrix):
        order = matrix.permutation.order
        return torch.eye(matrix.n)[order if forward else order.argsort()]
    return torch.ones(matrix.n, matrix.n)


def permitted(transform, direction):
    """Return which output may depend on which input, and which on the context, by definition."""
    size = max(1, torch.Size(transform.event_shape).numel())
    forward = direction == "forward"
    pattern, of_context = torch.eye(size), torch.zeros(size)
    match transform:
        case Chain():
            for part in transform.transforms if forward else reversed(transform.transforms):
                pattern_of_part, context_of_part = permitted(part, direction)
                of_context = pattern_of_part @ of_context + context_of_part
                pattern = pattern_of_part @ pattern
        case Inverse():
            return permitted(transform.transform, "inverse" if forward else "forward")
        case Coupling():
            _, moved = elements(transform.partition)
            mapped = torch.zeros(size, dtype=torch.bool)
            mapped[moved] = True
            pattern = pattern + torch.outer(mapped.float(), (~mapped).float())
            of_context = mapped.float()
        case MultiScale():
            kept, _ = elements(transform.prior.partition)
            inner, inner_of_context = permitted(transform.transform, direction)
            prior, prior_of_context = permitted(transform.prior, direction)
            pattern[kept[:, None], kept] = inner
            of_context[kept] = inner_of_context
            if forward:
                of_context = pattern @ prior_of_context + of_context
                pattern = pattern @ prior
            else:
                of_context = prior @ of_context + prior_of_context
                pattern = prior @ pattern
        case Squeezed():
            order = squeeze(torch.arange(size).view(transform.event_shape)).flatten()
            inner, inner_of_context = permitted(transform.transform, direction)
            pattern[order[:, None], order] = inner
            of_context[order] = inner_of_context
        case Autoregressive():
            pattern, of_context = torch.ones(size, size).tril(), torch.ones(size)
        case TriangularAffine():
            pattern = torch.ones(size, size).tril()
        case MintLayer():
            # Three convolutions, one after the other.
            one = of_convolution(transform.image_shape, transform.first.kernel // 2, transform.reverse)
            pattern, of_context = torch.linalg.matrix_power(one, 3), torch.ones(size)
            # The inverse follows every path.
            pattern = pattern if forward else torch.linalg.matrix_power(pattern, size)
        case Linear():
            pattern = of_matrix(transform.matrix, forward)
        case Convolution1x1():
            _, height, width = transform.event_shape
            pattern = torch.kron(of_matrix(transform.matrix, forward), torch.eye(height * width))
        case AutoregressiveConvolution():
            pattern = of_convolution(transform.event_shape, transform.reach, transform.reverse)
            pattern = pattern if forward else torch.linalg.matrix_power(pattern, size)
        case Permutation():
            pattern = pattern[transform.order] if forward else pattern[transform.order].mT
        case Reverse():
            pattern = pattern.flip(0)
        case Concatenate():
            parts = [permitted(part, direction) for part in transform.transforms]
            pattern = torch.block_diag(*(part for part, _ in parts))
            of_context = torch.cat([of_part for _, of_part in parts])
        case Indexed():
            places = transform.places
            pattern[places[:, None], places], of_context[places] = permitted(transform.transform, direction)
        case Planar() | Radial():
            pattern = torch.ones(size, size)
    return pattern, of_context * bool(transform.context_features)


def test_outputs_depend_on_all_permitted_inputs_and_on_nothing_else(case, directions):
    transform = case.make()
    for direction in directions():
        # Many rows, so that no dependence hides behind a unit that happens to be off.
        inputs = case.inputs(transform, direction, 256).requires_grad_()
        context = case.context(transform, 256)
        if context is not None:
            context.requires_grad_()
        y, _ = getattr(transform, direction)(inputs, context)
        pattern, of_context = permitted(transform, direction)
        found = case.jacobian(y, inputs).abs().amax(0)
        assert torch.equal(found > 1e-12, pattern > 0), found
        if context is not None:
            found = case.jacobian(y, context).abs().amax(0)
            assert torch.equal(found > 1e-12, (of_context > 0)[:, None].expand_as(found)), found


def test_a_conditional_transform_refuses_to_run_without_its_context(conditional_case, directions):
    transform = conditional_case.make()
    for direction in directions():
        inputs = conditional_case.inputs(transform, direction, 3)
        with pytest.raises(UsageError, match="context"):
            getattr(transform, direction)(inputs)


def test_rows_are_independent(case, directions):
    transform = case.make()
    context = case.context(transform, 5)
    for direction in directions():
        inputs = case.inputs(transform, direction, 5)
        y, ladj = getattr(transform, direction)(inputs, context)
        for row in range(5):
            alone = getattr(transform, direction)(inputs[row], None if context is None else context[row])
            torch.testing.assert_close(alone[0], y[row], rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(alone[1], ladj[row], rtol=1e-12, atol=1e-12)
