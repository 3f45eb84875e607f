"""From a catalog entry to a model; the only place that knows which family lives in which file."""

from typing import TYPE_CHECKING

from pipeline.plan.device import Device
from pipeline.plan.spec import Family, ModelSpec

if TYPE_CHECKING:
    from pipeline.models.base import VideoModel


def open_model(spec: ModelSpec, device: Device) -> "VideoModel":
    """The model, checked but with no weights loaded. Imports its family lazily. Raises ModelUnavailable."""
    match spec.family:
        case Family.ANYFLOW:
            from pipeline.models.anyflow import AnyFlowModel

            return AnyFlowModel(spec, device)
        case Family.LTX:
            from pipeline.models.ltx import LTXModel

            return LTXModel(spec, device)
        case Family.WAN:
            from pipeline.models.wan import WanModel

            return WanModel(spec, device)
