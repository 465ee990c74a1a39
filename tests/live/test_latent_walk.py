"""The quantised decoder: its payload, every pixel, both densities, and what quantising has cost."""

from __future__ import annotations

import base64
import hashlib
import json

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from scipy.stats import norm

from elbo import live
from elbo.live import decoder, engine

ID = "kingma-welling-2013-live-latent-walk"
CODES = [(-0.4, -1.6), (0.0, 0.0), (3.5, -3.5), (-3.5, 3.5), (1.25, 0.7)]


@pytest.fixture(scope="module")
def sent():
    return decoder.read()


@pytest.mark.parametrize("z", CODES)
def test_pixels_and_densities_by_numpy(sent, z):
    x = np.array(z)
    for layer in ("decoder.0", "decoder.1"):
        x = np.tanh(x @ sent.params[f"{layer}.weight"].numpy() + sent.params[f"{layer}.bias"].numpy())
    pixels = expit(x @ sent.params["decoder.head.weight"].numpy() + sent.params["decoder.head.bias"].numpy())
    found = engine.terms(live.figure(ID), {"z1": z[0], "z2": z[1]})
    drawn = np.array(json.loads(engine.evaluate(f"JSON.stringify(Array.from(elboLive.figures['{ID}'].pixels))")))
    assert np.abs(drawn - pixels).max() < 1e-6
    assert found["ink"] == pytest.approx(pixels.mean(), abs=1e-9)
    sd = np.exp(0.5 * sent.log_var.numpy())
    log_q = logsumexp(norm.logpdf(z, sent.mean.numpy(), sd).sum(1)) - np.log(decoder.CODES)
    assert found["log_aggregate"] == pytest.approx(log_q, rel=1e-9)
    assert found["log_prior"] == pytest.approx(norm.logpdf(z).sum(), abs=1e-9)


def test_the_record_is_that_of_the_payload():
    record = json.loads(decoder.RECORD.read_text(encoding="utf-8"))
    raw = base64.b64decode(decoder.PAYLOAD.read_text(encoding="utf-8").split('"')[3])
    assert record["payload_sha256"] == hashlib.sha256(raw).hexdigest()
    assert record["payload_bytes"] == len(raw)
    print(f"int8 costs {record['loss_in_nats']:.4f} ± {record['loss_standard_error']:.4f} nats a test image")
    assert abs(record["loss_in_nats"]) < 0.5
    assert record["loss_in_nats"] == pytest.approx(record["test_bound_float"] - record["test_bound_int8"], abs=1e-4)


def test_packing_loses_at_most_half_a_step(sent):
    again = decoder.pack(sent.params, sent.mean, sent.log_var)
    assert again == base64.b64decode(decoder.PAYLOAD.read_text(encoding="utf-8").split('"')[3])


def test_the_prior_likes_the_first_code_and_no_image_has_it():
    found = engine.terms(live.figure(ID), live.figure(ID).default)
    assert found["log_prior"] > -3.5 and found["log_aggregate"] < -20
