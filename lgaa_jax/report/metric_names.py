"""How the metrics are called and written for people."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Metric:
    """one: what one of the unit is in the files; better: higher, lower or neither, ""."""

    name: str
    unit: str = ""
    one: float = 1.0
    digits: int = 1
    better: str = ""

    @property
    def title(self) -> str:
        """The name with the unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def text(self, value: float) -> str:
        """The value as it is shown, in its unit."""
        return f"{value / self.one:,.{self.digits}f}"


def _share(name: str, better: str = "higher") -> Metric:
    return Metric(name, "%", one=0.01, better=better)


METRICS = {
    "accuracy": _share("accuracy"),
    "average_accuracy": _share("average accuracy"),
    "forgetting": Metric("forgetting", "points", one=0.01, digits=2, better="lower"),
    "backward_transfer": Metric("backward transfer", "points", one=0.01, digits=2, better="higher"),
    "clustering_accuracy": _share("clustering accuracy"),
    "domain_accuracy": _share("task inferred rightly"),
    "linear_probe": _share("linear probe of the codes"),
    "mse": Metric("squared error of a pixel", digits=4, better="lower"),
    "psnr": Metric("PSNR", "dB", digits=2, better="higher"),
    "ssim": Metric("SSIM", digits=3, better="higher"),
    "psnr_luma": Metric("PSNR of luma", "dB", digits=2, better="higher"),
    "psnr_chroma": Metric("PSNR of chroma", "dB", digits=2, better="higher"),
    "chroma": _share("chroma, of the real images'", better=""),
    "frechet_distance": Metric("Frechet distance", better="lower"),
    "fid": Metric("FID", better="lower"),
    "precision": _share("precision"),
    "recall": _share("recall"),
    "fitting_capacity": _share("fitting capacity"),
    "label_agreement": _share("label agreement"),
    "class_balance": _share("class balance"),
    "reference_accuracy": _share("accuracy of the reference classifier", better=""),
    "samples": Metric("images compared", digits=0),
    "target_risk": _share("target risk", better="lower"),
    "source_risk": _share("source risk", better="lower"),
    "discrepancy": _share("discrepancy", better="lower"),
    "labelling_error": _share("labelling error", better="lower"),
    "bound": _share("bound", better="lower"),
    "neighbours_of_the_task": _share("nearest codes of the same task"),
    "neighbours_of_the_class": _share("nearest codes of the same class"),
    "task_detection": _share("taken for the task", better=""),
    "mig": Metric("mutual information gap", digits=3, better="higher"),
    "mig_turned": Metric("the same in axes turned at random", digits=3),
    "disentanglement": Metric("disentanglement", digits=3, better="higher"),
    "completeness": Metric("completeness", digits=3, better="higher"),
    "informativeness": Metric("informativeness", digits=3, better="higher"),
    "reconstruction_error": Metric("AUROC by error of reconstruction", digits=3, better="higher"),
    "code_density": Metric("AUROC by density of the codes", digits=3, better="higher"),
}
RISK = ("target_risk", "source_risk", "discrepancy", "labelling_error", "bound")


def metric(name: str) -> Metric:
    """That of a name in the files; of one that is not known here, its words."""
    return METRICS.get(name) or Metric(name.replace("_", " "), digits=3)
