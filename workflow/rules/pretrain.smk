rule pretrain:
    input:
        plan.encoders(CONFIG),


rule pretrain_text:
    input:
        cases=f"results/prepare/{CONFIG.pretrain.cohort}/cases.csv",
        sentences=f"results/prepare/{CONFIG.pretrain.cohort}/sentences.csv",
    output:
        settings="results/pretrain/text/settings.yaml",
        encoder=directory(plan.TEXT_ENCODER),
    log:
        "results/pretrain/text/log.txt",
    benchmark:
        "results/pretrain/text/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=plan.text(CONFIG),
        trigger=plan.trigger(plan.text(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop pretrain {output.settings} >{log} 2>&1
        """


# Checkpoints for resuming lie in checkpoints/ beside the outputs: a folder that no rule declares
# is one that Snakemake does not clear.
rule pretrain_encoder:
    input:
        cases=f"results/prepare/{CONFIG.pretrain.cohort}/cases.csv",
        sentences=f"results/prepare/{CONFIG.pretrain.cohort}/sentences.csv",
        volumes=plan.shards(CONFIG, CONFIG.pretrain.cohort, "volumes.zip"),
        text_encoder=lambda wc: plan.text_encoder(CONFIG, wc.method),
    output:
        settings="results/pretrain/{method}/{seed}/settings.yaml",
        weights=plan.WEIGHTS,
        history="results/pretrain/{method}/{seed}/history.csv",
        reconstruction="results/pretrain/{method}/{seed}/reconstruction.zip",
    log:
        "results/pretrain/{method}/{seed}/log.txt",
    benchmark:
        "results/pretrain/{method}/{seed}/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=plan.encoder(CONFIG),
        trigger=plan.trigger(plan.encoder(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop pretrain {output.settings} >{log} 2>&1
        """
