rule acquire:
    input:
        expand("results/acquire/{dataset}/record.csv", dataset=CONFIG.acquire),


rule acquire_dataset:
    output:
        settings="results/acquire/{dataset}/settings.yaml",
        record="results/acquire/{dataset}/record.csv",
    log:
        "results/acquire/{dataset}/log.txt",
    benchmark:
        "results/acquire/{dataset}/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.acquire(CONFIG),
        trigger=jobs.trigger(jobs.acquire(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop acquire {output.settings} >{log} 2>&1
        """


rule acquire_lists:
    output:
        settings="results/acquire/official/{layout}/settings.yaml",
        lists=directory("results/acquire/official/{layout}/lists"),
    log:
        "results/acquire/official/{layout}/log.txt",
    benchmark:
        "results/acquire/official/{layout}/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.lists(CONFIG),
        trigger=jobs.trigger(jobs.lists(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop acquire {output.settings} >{log} 2>&1
        """
