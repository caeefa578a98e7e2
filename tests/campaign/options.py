"""Options of `kedro run` that name nothing, and values that are no options' values."""

from tests.campaign.damage import write
from tests.campaign.outcome import OF_CURATION, SURVIVED, Case, kedro_run, params

CASES = [
    Case("an unknown pipeline", kedro_run("--pipelines", "curaton"), "curation"),
    Case("an unknown pipeline by the old option", kedro_run("--pipeline", "trainin"), "training"),
    Case("no pipeline", kedro_run("--pipelines", ""), "--pipelines"),
    Case(
        "a pipeline and a comma",
        kedro_run("--pipelines", "curation,"),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case("an item of no arm", kedro_run("--pipelines", "training.nosuch"), "nosuch"),
    Case("an unknown namespace", kedro_run("--namespaces", "training.stablerepp"), "training.stablerep"),
    Case("an unknown tag", kedro_run("--tags", "nosuch"), "nosuch"),
    Case("an unknown node", kedro_run("--nodes", "nosuch_node"), "nosuch_node"),
    Case("a first node that is not there", kedro_run("--from-nodes", "nosuch_node"), "nosuch_node"),
    Case("a last node that is not there", kedro_run("--to-nodes", "nosuch_node"), "nosuch_node"),
    Case(
        "a first data set that is not there",
        kedro_run("--from-inputs", "curated_caption"),
        "curated_captions",
    ),
    Case(
        "a last data set that is not there", kedro_run("--to-outputs", "curated_caption"), "curated_captions"
    ),
    Case("an unknown runner", kedro_run("--runner", "SequentialRuner"), "SequentialRunner"),
    Case("a runner that is no runner", kedro_run("--runner", "pathlib.Path"), "pathlib.Path"),
    Case("a runner of no module", kedro_run("--runner", "nosuch.module.Runner"), "nosuch.module.Runner"),
    Case("a version of an unknown data set", kedro_run("--load-versions", "nosuch:2026-01-01"), "nosuch"),
    Case("a version without a data set", kedro_run("--load-versions", "garbage"), "garbage"),
    Case("an unknown environment", kedro_run("--env", "nosuch"), "nosuch"),
    Case("an environment that is a way out", kedro_run("--env", "../../etc"), "etc"),
    Case("an unknown environment in the shell", kedro_run(), "nosuch", environment={"KEDRO_ENV": "nosuch"}),
    Case("a missing configuration folder", kedro_run("--conf-source", "nosuch"), "nosuch"),
    Case("a configuration folder that is a file", kedro_run("--conf-source", "README.md"), "README.md"),
    Case("a missing file of options", kedro_run("--config", "nosuch.yml"), "nosuch.yml"),
    Case(
        "a file of options that is no YAML", kedro_run("--config", "o.yml"), "o.yml", write("o.yml", "run: [")
    ),
    Case(
        "a file of options that is a list", kedro_run("--config", "o.yml"), "o.yml", write("o.yml", "- 1\n")
    ),
    Case(
        "a file of options with an unknown one",
        kedro_run("--config", "o.yml"),
        "pipelin",
        write("o.yml", "run:\n  pipelin: curation\n"),
    ),
    Case("an unknown option", kedro_run("--pipelins", "curation"), "--pipelins"),
    Case("an unknown command", ("kedro", "runn"), "runn"),
    Case("an argument too many", kedro_run("curation"), "curation"),
    Case("runner parameters that are none", kedro_run("--runner-params", "a"), "runner-params"),
    # parameters
    Case(
        "an empty --params",
        ("kedro", "run", "--pipelines", "curation", "--params", ""),
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case("a parameter without a value", params("seed"), "seed"),
    Case("a parameter without a name", params("=1"), "=1"),
    Case("a bracket before the equals sign", params("seed[=1"), "seed["),
    Case("a bracket alone", params("[=1"), "key '['"),
    Case("a bracket that does not close", params("seeds=[0"), "seeds"),
    Case("a brace that does not close", params("arms.a={method: simclr"), "arms.a"),
    Case("a mapping without spaces", params("arms.x={method:simclr,images:real}"), "space"),
    Case("a quote that does not close", params("experiment_name='a"), "experiment_name"),
    Case("a tag of YAML", params("training.num_images=!!int x"), "training.num_images"),
    Case("a time stamp of YAML", params("training.num_images=!!timestamp x"), "training.num_images"),
    Case(
        "a Python tag of YAML",
        params("training.num_images=!!python/object/apply:os.getpid []"),
        "training.num_images",
    ),
    Case("a number of 5,000 digits", params("training.num_images=" + "9" * 5000), "training.num_images"),
    Case("brackets 3,000 deep", params("seeds=" + "[" * 3000 + "]" * 3000), "seeds"),
    Case("a fraction for a count", params("training.num_images=10.5"), "training.num_images"),
    Case("a word for a number", params("training.num_images=many"), "training.num_images"),
    Case("a count below zero", params("training.num_images=-5"), "training.num_images"),
    Case("a count of zero", params("training.num_images=0"), "training.num_images"),
    Case("a rate that is no number", params("training.learning_rate=.nan"), "training.learning_rate"),
    Case("an infinite rate", params("training.learning_rate=.inf"), "training.learning_rate"),
    Case("an infinite price", params("generator.price_per_hour=.inf"), "price_per_hour"),
    Case("an infinite guidance scale", params("generator.guidance_scale=.inf"), "guidance_scale"),
    Case("a yes for a number", params("generator.num_shards=true"), "num_shards"),
    Case("a list for a number", params("generator.num_shards=[1]"), "num_shards"),
    Case("null for a number", params("generator.num_shards=null"), "num_shards"),
    Case("an unknown group", params("generatr=embedded"), "generator"),
    Case("an unknown choice", params("generator=embeded"), "embedded"),
    Case("an unknown experiment", ("kedro", "run", "--params", "experiment=smok"), "smoke"),
    Case("a choice that is a way out", params("generator=../../../etc/passwd"), "generator"),
    Case("an unknown key", params("generator.guidance_scal=2"), "guidance_scale"),
    Case("an unknown method", params("method=[simclrr]"), "simclr"),
    Case("an arm of an unknown method", params("arms.a={method: byol, images: real}"), "byol"),
    Case("an arm of an unknown image set", params("arms.a={method: simclr, images: unreal}"), "unreal"),
    Case("an arm without a method", params("arms.a={images: real}"), "arms.a"),
    Case("an arm with an unknown key", params("arms.a={method: simclr, image: real}"), "images"),
    Case("an arm that is a word", params("arms.a=simclr"), "arms.a"),
    Case("an arm with a name of two parts", params("arms.a/b={method: simclr, images: real}"), "a/b"),
    Case("a mixture of unknown sets", params("image_sets.m={source: mixture, of: {a: 1}}"), "image_sets.m"),
    Case("a mixture of itself", params("image_sets.m={source: mixture, of: {m: 1}}"), "image_sets.m"),
    Case("an unknown source of images", params("image_sets.m={source: drawn}"), "drawn"),
    Case("no seeds", params("seeds=[]"), "seeds"),
    Case("a seed twice", params("seeds=[1,1]"), "seeds"),
    Case("a seed below zero", params("seeds=[-1]"), "seeds"),
    Case("a name that is a way out", params("experiment_name=../../etc"), "experiment_name"),
    Case("an empty name", params("experiment_name=''"), "experiment_name"),
    Case(
        "no filters",
        params("curation.filters=[]", "--pipelines", "curation"),
        "curation.filters is empty",
        expected=SURVIVED,
        rewrites=OF_CURATION,
    ),
    Case("a filter that is no class", params("curation.filters=[{_target_: os.getcwd}]"), "os.getcwd"),
    Case("a filter of no module", params("curation.filters=[{_target_: no.such.Filter}]"), "no.such.Filter"),
    Case("a filter without a target", params("curation.filters=[{min_words: 1}]"), "curation.filters"),
    Case(
        "a filter with an argument of the wrong type",
        params(
            "curation.filters=[{_target_: stablerep.curation.filters.length.Length, max_words: 9, "
            "min_words: a}]"
        ),
        "min_words",
    ),
    Case(
        "a filter with an unknown argument",
        params("curation.filters=[{_target_: stablerep.curation.filters.empty.Empty, strict: true}]"),
        "strict",
    ),
    Case(
        "a target that would run a command",
        params("corpus={_target_: os.system, command: 'touch owned'}"),
        "os.system",
    ),
    Case(
        "an evaluation that is no class", params("evaluation.e={_target_: builtins.print}"), "builtins.print"
    ),
    Case(
        "a corpus of no folder",
        ("kedro", "run", "--params", "experiment=own_images,corpus.path=nosuch"),
        "nosuch",
    ),
    Case(
        "a corpus that is a file",
        ("kedro", "run", "--params", "experiment=own_images,corpus.path=README.md"),
        "README.md",
    ),
    Case("own images without a path", ("kedro", "run", "--params", "experiment=own_images"), "corpus.path"),
    Case(
        "captions of no file",
        ("kedro", "run", "--params", "experiment=own_captions,corpus.path=nosuch.csv"),
        "nosuch.csv",
    ),
]
