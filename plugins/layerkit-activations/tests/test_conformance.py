from layerkit.testing import parametrize_with_checks


@parametrize_with_checks("layerkit-activations")
def test_conformance(check):
    check()
