rule prepare:
    input:
        expand("results/prepare/{cohort}/cases.csv", cohort=CONFIG.prepare),


rule prepare_index:
    input:
        record=lambda wc: f"results/acquire/{CONFIG.dataset(wc.cohort)}/record.csv",
        official=lambda wc: plan.official_lists(CONFIG, wc.cohort),
    output:
        settings="results/prepare/{cohort}/index/settings.yaml",
        cases="results/prepare/{cohort}/index/cases.csv",
        findings="results/prepare/{cohort}/index/findings.csv",
    log:
        "results/prepare/{cohort}/index/log.txt",
    benchmark:
        "results/prepare/{cohort}/index/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.index(CONFIG),
        trigger=jobs.trigger(jobs.index(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop prepare {output.settings} >{log} 2>&1
        """


rule prepare_volumes:
    input:
        record=lambda wc: f"results/acquire/{CONFIG.dataset(wc.cohort)}/record.csv",
        cases="results/prepare/{cohort}/index/cases.csv",
    output:
        settings="results/prepare/{cohort}/volumes/{shard}/settings.yaml",
        volumes="results/prepare/{cohort}/volumes/{shard}/volumes.zip",
        masks="results/prepare/{cohort}/volumes/{shard}/masks.zip",
        audit="results/prepare/{cohort}/volumes/{shard}/audit.csv",
    log:
        "results/prepare/{cohort}/volumes/{shard}/log.txt",
    benchmark:
        "results/prepare/{cohort}/volumes/{shard}/benchmark.tsv"
    conda:
        "../../environment.yml"
    threads: lambda wc: CONFIG.prepare[wc.cohort].processes
    resources:
        cpus_per_task=lambda wc: CONFIG.prepare[wc.cohort].processes,
    params:
        settings=jobs.volumes(CONFIG),
        trigger=jobs.trigger(jobs.volumes(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop prepare {output.settings} >{log} 2>&1
        """


rule prepare_collect:
    input:
        cases="results/prepare/{cohort}/index/cases.csv",
        findings="results/prepare/{cohort}/index/findings.csv",
        volumes=lambda wc: plan.shards(CONFIG, wc.cohort, "volumes.zip"),
        audits=lambda wc: plan.shards(CONFIG, wc.cohort, "audit.csv"),
    output:
        settings="results/prepare/{cohort}/settings.yaml",
        cases="results/prepare/{cohort}/cases.csv",
        sentences="results/prepare/{cohort}/sentences.csv",
        audit="results/prepare/{cohort}/audit.csv",
        findings="results/prepare/{cohort}/findings.csv",
        page=report(
            "results/prepare/{cohort}/audit.html",
            caption="../report/audit.rst",
            category="Audit",
            labels={"cohort": "{cohort}"},
        ),
    log:
        "results/prepare/{cohort}/log.txt",
    benchmark:
        "results/prepare/{cohort}/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.collect(CONFIG),
        trigger=jobs.trigger(jobs.collect(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop prepare {output.settings} >{log} 2>&1
        """
