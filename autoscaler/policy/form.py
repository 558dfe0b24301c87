"""The checks of form: reported by `files`, `source`, `scalars` and `shape` while reading."""

from __future__ import annotations

from autoscaler.policy.registry import declare

# --- files -----------------------------------------------------------------------------------

declare(
    "unreadable",
    "a path does not exist or cannot be read.",
    "A path that silently means nothing would run without the policies it stands for.",
    scope="set",
)
declare(
    "no-policy",
    "the paths given hold no policy file at all.",
    "An empty mount would otherwise switch every policy off and look like success.",
    scope="set",
)
declare(
    "empty-file",
    "a policy file holds no document.",
    "A file that was truncated by accident would otherwise take its policies with it.",
)
declare(
    "file-too-large",
    "a policy file is larger than 1 MiB.",
    "A policy has about 2 kB. Something else was put in its place.",
    scope="set",
)
declare(
    "encoding",
    "the file is not UTF-8 text.",
    "Guessing an encoding guesses at names too.",
)
declare(
    "byte-order-mark",
    "the file starts with a byte order mark.",
    "Some tools read it as part of the first key.",
    "warning",
)

# --- YAML ------------------------------------------------------------------------------------

declare("yaml-syntax", "the text is not YAML.", "Nothing after the fault can be trusted.")
declare(
    "yaml-tab",
    "a tab stands where YAML wants spaces.",
    "YAML forbids tabs in indentation, and they are hard to see.",
)
declare(
    "yaml-alias",
    "a value is an alias (`*name`).",
    "Aliases make a policy mean something else than the lines one reads, and nested ones can "
    "blow a few bytes up to gigabytes.",
)
declare(
    "yaml-merge-key",
    "a mapping uses the merge key `<<`.",
    "YAML 1.2 has no merge key: tools disagree on what it does.",
)
declare("yaml-tag", "a value has a tag (`!name`).", "Policies hold plain data only.")
declare("yaml-key", "a key is a list or a mapping.", "Field names are plain words.")
declare(
    "too-deep",
    "lists or mappings are nested more than 50 deep.",
    "A policy is 6 deep; deeper text is a mistake or an attack on the parser.",
)
declare(
    "duplicate-key",
    "a key occurs twice in one mapping.",
    "YAML parsers keep one of the two, and not all of them the same one.",
)
declare(
    "empty-document",
    "a document between two `---` is empty.",
    "A policy may have been lost there.",
    "warning",
)
declare(
    "yaml11-surprise",
    "a plain word or number has another meaning in YAML 1.1 than it seems to have.",
    "YAML 1.1 reads `on` and `NO` as booleans, `1:30` as 90 and `014` as 12. Policies are read as "
    "YAML 1.2; text on which the two disagree is refused where a value is expected.",
)

# --- shape -----------------------------------------------------------------------------------

declare(
    "api-version",
    "a document has another `apiVersion` than this program reads.",
    "Manifests of other programs are refused, not skipped: a policy with a misspelt apiVersion "
    "would otherwise vanish without a word.",
)
declare(
    "kind",
    "a document has another `kind` than ScalingPolicy or GpuBudget.",
    "As for `api-version`.",
)
declare("unknown-field", "a field is not known.", "A misspelt field would silently do nothing.")
declare("missing-field", "a required field is missing.", "There is no safe value to assume.")
declare(
    "empty-value",
    "a field or a list item has no value.",
    "It is more often a forgotten value than a wish for the default.",
)
declare("wrong-type", "a value is of another type.", "Nothing is converted by guessing.")
declare("bad-choice", "a word is not one of those allowed.", "It would mean nothing.")
declare(
    "bad-name",
    "a name is not one that Kubernetes allows.",
    "No object of that name can exist, so the policy would never find its target.",
)
declare("bad-duration", "a text is not a duration.", "It cannot be read as a time.")
declare(
    "duration-without-unit",
    "a duration is a bare number.",
    "One reads 90 as seconds, the next as minutes.",
)
declare("bad-share", "a text is not a share.", "It cannot be read as a percentage or a ratio.")
declare("bad-quantity", "a text is not a quantity.", "It cannot be read as a number.")
declare(
    "not-finite",
    "a number is NaN or infinite.",
    "Comparisons with NaN are always false: such a threshold never fires.",
)
declare("out-of-range", "a number is outside what the field can hold.", "It has no meaning there.")
declare(
    "bad-percentile",
    "a key of `sla.latency` is not a percentile.",
    "It must name a column of the profile: p50, p90, p95, p99, p99.9.",
)
declare(
    "objective-shape",
    "an item of `objectives` does not name exactly one objective.",
    "A forgotten `-` would otherwise merge two objectives into one.",
)
declare(
    "driver-shape",
    "`nodes.driver` or `nodes.fallback` does not name exactly one driver.",
    "Two drivers would each bring the nodes.",
)
