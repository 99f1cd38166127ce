import math

import pytest
import torch

from simcrop.models.contrast import GlobalContrast, cosines, infonce


def test_infonce_is_cross_entropy_where_each_row_has_one_positive():
    scores = torch.randn(4, 6, dtype=torch.float64)
    target = torch.tensor([2, 0, 5, 2])
    positive = torch.nn.functional.one_hot(target, 6).bool()
    expected = torch.nn.functional.cross_entropy(scores, target)
    assert infonce(scores, positive).item() == pytest.approx(expected.item(), abs=1e-12)


def test_what_is_not_allowed_enters_no_denominator_and_gets_no_gradient():
    scores = torch.randn(2, 5, dtype=torch.float64, requires_grad=True)
    allowed = torch.tensor([[True] * 3 + [False] * 2] * 2)
    positive = torch.tensor([[True] + [False] * 4, [False, True, True, False, False]])
    loss = infonce(scores, positive, allowed)
    assert loss.item() == pytest.approx(infonce(scores[:, :3], positive[:, :3]).item(), abs=1e-12)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert gradient.isfinite().all() and (gradient[:, 3:] == 0).all()


def test_cosines_keep_their_precision_under_autocast():
    rows, columns = torch.randn(3, 8), torch.randn(5, 8)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = cosines(rows, columns)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, cosines(rows, columns))


@pytest.mark.parametrize("identity", [[0, 1, 2], [7, 3, 7]])
def test_global_contrast_by_loops(identity):
    torch.manual_seed(0)
    model = GlobalContrast(5, 7, 4, 0.07).double()
    patches = torch.randn(3, 6, 5, dtype=torch.float64)
    reports = torch.randn(3, 7, dtype=torch.float64)
    images = [model.image_head(sum(p) / 6) for p in patches]
    texts = [model.text_head(r) for r in reports]
    scores = [[(a @ b / a.norm() / b.norm() / 0.07).item() for b in texts] for a in images]

    def loss(rows):
        total = 0
        for i, row in enumerate(rows):
            same = [j for j in range(3) if identity[j] == identity[i]]
            whole = math.log(sum(math.exp(s) for s in row))
            total += sum(whole - row[j] for j in same) / len(same) / 3
        return total

    expected = (loss(scores) + loss(list(zip(*scores, strict=True)))) / 2
    assert model(patches, reports, torch.tensor(identity)).item() == pytest.approx(
        expected, abs=1e-9
    )
