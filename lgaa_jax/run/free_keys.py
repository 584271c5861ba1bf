"""The keys that may change when a run goes on, each with the reason why that mixes nothing."""

AGAIN = "what was measured with another value is measured again"
FREE_KEYS = {
    "data.data_dir": "the same data may lie elsewhere; their fingerprints are compared",
    "data.cache_dir": "it holds what can be made again",
    "data.skip_broken": "it decides whether a start is refused; fingerprints tell what is left out",
    "data.streaming": "it says where images lie, and changes no batch",
    "data.workers": "it changes no batch",
    "devices": "it changes no result beyond rounding",
    "shard_state": "it changes no result beyond rounding",
    "retries": "it acts where training would else stop, and the record tells of each time",
    "retry_rate": "it acts where training would else stop, and the record tells of each time",
    "eval.every": AGAIN,
    "eval.generation": AGAIN,
    "eval.samples": AGAIN,
    "eval.confidence": f"{AGAIN}; pictures that are there stay",
    "eval.classifier_steps": AGAIN,
    "eval.inception_weights": AGAIN,
    "eval.reference_dir": "it holds what can be made again",
    "log.every": "it says when a step is told of; on a GPU also how many make a call, for the same "
    "numbers but for rounding",
    "log.checkpoint_every": "it says when the state is saved",
    "log.keep_checkpoints": "those of the tasks' ends stay, whatever it is",
    "log.eval_batch": "it changes no result beyond rounding",
}
