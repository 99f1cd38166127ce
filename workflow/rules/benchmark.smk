rule benchmark:
    input:
        plan.all_scores(CONFIG),


rule benchmark_classification:
    input:
        weights=plan.weights(CONFIG),
        record=lambda wc: plan.record(CONFIG, wc.benchmark),
        cases=lambda wc: plan.prepared(CONFIG, wc.benchmark, "cases.csv"),
        trained_on=lambda wc: plan.trained_on(CONFIG, wc.benchmark, wc.method),
        volumes=lambda wc: plan.stores(CONFIG, wc.benchmark, "volumes.zip"),
        text_encoder=lambda wc: plan.zero_shot(CONFIG, wc.benchmark, wc.method),
    output:
        settings=f"{plan.EVALUATION}/settings.yaml",
        scores=f"{plan.EVALUATION}/scores.json",
        predictions=f"{plan.EVALUATION}/predictions.csv",
    log:
        f"{plan.EVALUATION}/log.txt",
    benchmark:
        f"{plan.EVALUATION}/benchmark.tsv"
    wildcard_constraints:
        benchmark=plan.pattern(CONFIG, "classification"),
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        settings=jobs.evaluation(CONFIG, runs.Classify),
        trigger=jobs.trigger(jobs.evaluation(CONFIG, runs.Classify)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop benchmark {output.settings} >{log} 2>&1
        """


rule benchmark_segmentation:
    input:
        weights=plan.weights(CONFIG),
        record=lambda wc: plan.record(CONFIG, wc.benchmark),
        cases=lambda wc: plan.prepared(CONFIG, wc.benchmark, "cases.csv"),
        trained_on=lambda wc: plan.trained_on(CONFIG, wc.benchmark, wc.method),
        volumes=lambda wc: plan.stores(CONFIG, wc.benchmark, "volumes.zip"),
        masks=lambda wc: plan.stores(CONFIG, wc.benchmark, "masks.zip"),
    output:
        settings=f"{plan.EVALUATION}/settings.yaml",
        scores=f"{plan.EVALUATION}/scores.json",
        predictions=f"{plan.EVALUATION}/predictions.csv",
        masks=f"{plan.EVALUATION}/masks.zip",
    log:
        f"{plan.EVALUATION}/log.txt",
    benchmark:
        f"{plan.EVALUATION}/benchmark.tsv"
    wildcard_constraints:
        benchmark=plan.pattern(CONFIG, "segmentation"),
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
        processes=1,
    params:
        settings=jobs.evaluation(CONFIG, runs.Segment),
        trigger=jobs.trigger(jobs.evaluation(CONFIG, runs.Segment)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop benchmark {output.settings} --processes {resources.processes} >{log} 2>&1
        """


rule benchmark_localisation:
    input:
        weights=plan.weights(CONFIG),
        record=lambda wc: plan.record(CONFIG, wc.benchmark),
        cases=lambda wc: plan.prepared(CONFIG, wc.benchmark, "cases.csv"),
        trained_on=lambda wc: plan.trained_on(CONFIG, wc.benchmark, wc.method),
        volumes=lambda wc: plan.stores(CONFIG, wc.benchmark, "volumes.zip"),
        masks=lambda wc: plan.stores(CONFIG, wc.benchmark, "masks.zip"),
        text_encoder=lambda wc: plan.text_encoder(CONFIG, CONFIG.encoders(wc.benchmark)),
    output:
        settings=f"{plan.EVALUATION}/settings.yaml",
        scores=f"{plan.EVALUATION}/scores.json",
        predictions=f"{plan.EVALUATION}/predictions.csv",
        maps=f"{plan.EVALUATION}/maps.zip",
        sentences=f"{plan.EVALUATION}/maps.csv",
    log:
        f"{plan.EVALUATION}/log.txt",
    benchmark:
        f"{plan.EVALUATION}/benchmark.tsv"
    wildcard_constraints:
        benchmark=plan.pattern(CONFIG, "localisation"),
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        settings=jobs.evaluation(CONFIG, runs.Locate),
        trigger=jobs.trigger(jobs.evaluation(CONFIG, runs.Locate)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop benchmark {output.settings} >{log} 2>&1
        """


rule benchmark_retrieval:
    input:
        weights=plan.weights(CONFIG),
        record=lambda wc: plan.record(CONFIG, wc.benchmark),
        cases=lambda wc: plan.prepared(CONFIG, wc.benchmark, "cases.csv"),
        trained_on=lambda wc: plan.trained_on(CONFIG, wc.benchmark, wc.method),
        sentences=lambda wc: plan.prepared(CONFIG, wc.benchmark, "sentences.csv"),
        volumes=lambda wc: plan.stores(CONFIG, wc.benchmark, "volumes.zip"),
        text_encoder=lambda wc: plan.text_encoder(CONFIG, CONFIG.encoders(wc.benchmark)),
    output:
        settings=f"{plan.EVALUATION}/settings.yaml",
        scores=f"{plan.EVALUATION}/scores.json",
        predictions=f"{plan.EVALUATION}/predictions.csv",
    log:
        f"{plan.EVALUATION}/log.txt",
    benchmark:
        f"{plan.EVALUATION}/benchmark.tsv"
    wildcard_constraints:
        benchmark=plan.pattern(CONFIG, "retrieval"),
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        settings=jobs.evaluation(CONFIG, runs.Retrieve),
        trigger=jobs.trigger(jobs.evaluation(CONFIG, runs.Retrieve)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop benchmark {output.settings} >{log} 2>&1
        """


if CONFIG.sample:

    rule sample:
        input:
            "results/benchmark/sample/maps.csv",

    rule benchmark_sample:
        input:
            weights=plan.shown(CONFIG, CONFIG.sample.method),
            text_encoder=plan.text_encoder(CONFIG, CONFIG.pretrain.cohort),
            cases=f"results/prepare/{CONFIG.sample.cohort}/cases.csv",
            volumes=plan.shards(CONFIG, CONFIG.sample.cohort, "volumes.zip"),
            background_cases=f"results/prepare/{CONFIG.sample.background}/cases.csv",
            background=plan.shards(CONFIG, CONFIG.sample.background, "volumes.zip"),
        output:
            settings="results/benchmark/sample/settings.yaml",
            embeddings="results/benchmark/sample/embeddings.csv",
            maps="results/benchmark/sample/maps.zip",
            sentences="results/benchmark/sample/maps.csv",
            pictures=directory("results/benchmark/sample/pictures"),
        log:
            "results/benchmark/sample/log.txt",
        benchmark:
            "results/benchmark/sample/benchmark.tsv"
        conda:
            "../../environment.yml"
        resources:
            gpu=1,
        params:
            settings=jobs.sample(CONFIG),
            trigger=jobs.trigger(jobs.sample(CONFIG)),
        shell:
            """
            echo {params.settings:q} >{output.settings}
            exec simcrop benchmark {output.settings} >{log} 2>&1
            """
