rule report:
    input:
        expand("results/report/{table}.csv", table=plan.TABLES),
        expand("results/report/figures/{figure}.png", figure=plan.figure_names(CONFIG)),


rule study:
    input:
        expand("results/report/{table}.csv", table=plan.COMPARISON),
        expand("results/report/figures/{figure}.png", figure=plan.figure_names(CONFIG)),


rule ablations:
    input:
        "results/report/ablation.csv",


for table in plan.TABLES:

    rule:
        name:
            table
        input:
            f"results/report/{table}.csv",


rule report_table:
    input:
        scores=lambda wc: plan.scores(CONFIG, wc.table),
    output:
        settings="results/report/{table}.settings.yaml",
        csv=report(
            "results/report/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        markdown="results/report/{table}.md",
        latex="results/report/{table}.tex",
    log:
        "results/report/{table}.log.txt",
    benchmark:
        "results/report/{table}.benchmark.tsv"
    wildcard_constraints:
        table="|".join(plan.TABLES),
    conda:
        "../../environment.yml"
    params:
        settings=plan.table(CONFIG),
        trigger=plan.trigger(plan.table(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop report {output.settings} >{log} 2>&1
        """


rule report_figures:
    input:
        tables=expand(
            "results/report/{table}.csv",
            table=("classification", "segmentation", "ablation"),
        ),
        scores=plan.all_scores(CONFIG, plan.COMPARISON),
        reconstruction=plan.reconstruction(CONFIG),
        histories=[training.history for training in plan.trainings(CONFIG)],
    output:
        settings="results/report/figures/settings.yaml",
        png=[
            report(
                f"results/report/figures/{figure}.png",
                caption=f"../report/{pictured.kind(figure)}.rst",
                category="Figures",
                labels=pictured.labels(CONFIG, figure),
            )
            for figure in plan.figure_names(CONFIG)
        ],
        svg=expand(
            "results/report/figures/{figure}.{suffix}",
            figure=plan.figure_names(CONFIG),
            suffix=("svg", "pdf"),
        ),
    log:
        "results/report/figures/log.txt",
    benchmark:
        "results/report/figures/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=plan.figures(CONFIG),
        trigger=plan.trigger(plan.figures(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop report {output.settings} >{log} 2>&1
        """
