rule pretrain:
    input:
        plan.encoders(CONFIG),


rule pretrain_text:
    input:
        cases="results/prepare/{cohort}/cases.csv",
        sentences="results/prepare/{cohort}/sentences.csv",
    output:
        settings="results/pretrain/{cohort}/text/settings.yaml",
        encoder=directory(plan.TEXT_ENCODER),
    log:
        "results/pretrain/{cohort}/text/log.txt",
    benchmark:
        "results/pretrain/{cohort}/text/benchmark.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
    params:
        settings=jobs.text(CONFIG),
        trigger=jobs.trigger(jobs.text(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop pretrain {output.settings} >{log} 2>&1
        """


# Checkpoints for resuming lie in checkpoints/ beside the outputs: a folder that no rule declares
# is one that Snakemake does not clear.
rule pretrain_encoder:
    input:
        cases="results/prepare/{cohort}/cases.csv",
        sentences="results/prepare/{cohort}/sentences.csv",
        volumes=lambda wc: plan.shards(CONFIG, wc.cohort, "volumes.zip"),
        text_encoder=lambda wc: plan.text_encoder(CONFIG, wc.cohort, wc.method),
        start=lambda wc: plan.start_file(CONFIG, wc.method),
    output:
        settings="results/pretrain/{cohort}/{method}/{seed}/settings.yaml",
        weights=plan.WEIGHTS,
        history="results/pretrain/{cohort}/{method}/{seed}/history.csv",
        reconstruction="results/pretrain/{cohort}/{method}/{seed}/reconstruction.zip",
    log:
        "results/pretrain/{cohort}/{method}/{seed}/log.txt",
    benchmark:
        "results/pretrain/{cohort}/{method}/{seed}/benchmark.tsv"
    conda:
        "../../environment.yml"
    resources:
        gpu=1,
        processes=1,
        nodes=1,
    params:
        settings=jobs.encoder(CONFIG),
        trigger=jobs.trigger(jobs.encoder(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop pretrain {output.settings} --processes {resources.processes} \
            --nodes {resources.nodes} >{log} 2>&1
        """
