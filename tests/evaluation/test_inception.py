"""Features by torch-fidelity; with random weights, as the real ones are a download."""

import numpy as np
import pytest
from conftest import small_config

from lgaa_jax.errors import UserError
from lgaa_jax.evaluation import (
    inception,
)
from lgaa_jax.run import checks


def test_a_missing_file_and_a_missing_package_are_told(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"inception_weights='/nowhere\.pth' is not a file"):
        checks.check_config(small_config(**{"eval.inception_weights": "/nowhere.pth"}))
    (tmp_path / "weights.pth").touch()
    monkeypatch.setattr(inception.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[fid\]'"):
        inception.check(str(tmp_path / "weights.pth"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of PyTorch
def test_features_are_a_row_per_image_and_grey_counts_as_rgb(tmp_path):
    torch = pytest.importorskip("torch", reason="the extra fid is not installed")
    pytest.importorskip("torch_fidelity", reason="the extra fid is not installed")
    from torch_fidelity import feature_extractor_inceptionv3 as module

    path = tmp_path / "weights.pth"
    path.write_bytes(b"not a state dict")
    images = np.random.default_rng(0).integers(0, 256, (52, 16, 16, 1), np.uint8)
    with pytest.raises(UserError, match="does not hold the weights"):
        inception.features(images, str(path))

    class Unloaded(module.FeatureExtractorInceptionV3):
        def load_state_dict(self, *args, **kwargs):
            return None

    torch.manual_seed(0)
    torch.save({}, path)
    blank = Unloaded("inception", ["2048"], feature_extractor_weights_path=str(path))
    torch.save(blank.state_dict(), path)
    got = inception.features(images, str(path))
    assert got.shape == (52, 2048)
    assert np.isfinite(got).all()
    repeated = inception.features(np.repeat(images[:2], 3, axis=-1), str(path))
    np.testing.assert_allclose(repeated, got[:2], rtol=1e-3, atol=1e-4)
