rule report:
    input:
        expand("results/report/{table}.csv", table=plan.TABLES),
        expand("results/report/figures/{figure}.png", figure=pictured.names(CONFIG)),
        "results/report/index.html",
        "results/report/summary/metrics.json",


rule study:
    input:
        expand("results/report/{table}.csv", table=plan.COMPARISON),
        expand("results/report/figures/{figure}.png", figure=pictured.of_comparison(CONFIG)),


rule ablations:
    input:
        "results/report/ablation.csv",
        expand("results/report/figures/{figure}.png", figure=pictured.of_ablations(CONFIG)),


for table in plan.TABLES:

    rule:
        name:
            table
        input:
            f"results/report/{table}.csv",


rule report_table:
    input:
        scores=lambda wc: plan.scores(CONFIG, wc.table),
        published="config/published.csv",
    output:
        settings="results/report/{table}.settings.yaml",
        csv="results/report/{table}.csv",
        markdown="results/report/{table}.md",
        latex="results/report/{table}.tex",
        html=report(
            "results/report/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        "results/report/{table}.log.txt",
    benchmark:
        "results/report/{table}.benchmark.tsv"
    wildcard_constraints:
        table="|".join(plan.TABLES),
    conda:
        "../../environment.yml"
    params:
        settings=jobs.table(CONFIG),
        trigger=jobs.trigger(jobs.table(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop report {output.settings} >{log} 2>&1
        """


# What DVC compares between runs, and what each number was made with.
rule report_summary:
    input:
        tables=expand("results/report/{table}.csv", table=plan.MEANS),
        scores=plan.all_scores(CONFIG),
    output:
        settings="results/report/summary/settings.yaml",
        metrics="results/report/summary/metrics.json",
        auroc="results/report/summary/auroc.csv",
        dice="results/report/summary/dice.csv",
        provenance=report(
            "results/report/summary/provenance.csv",
            caption="../report/provenance.rst",
            category="Provenance",
        ),
    log:
        "results/report/summary/log.txt",
    benchmark:
        "results/report/summary/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.summary(CONFIG),
        trigger=jobs.trigger(jobs.summary(CONFIG)),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop report {output.settings} >{log} 2>&1
        """


rule report_figures:
    input:
        tables=expand("results/report/{table}.csv", table=("classification", "segmentation")),
        scores=plan.all_scores(CONFIG, plan.COMPARISON),
        reconstruction=plan.reconstruction(CONFIG),
        histories=[training.history for training in pictured.trainings(CONFIG)],
    output:
        settings="results/report/figures/settings.yaml",
        png=[
            report(
                f"results/report/figures/{figure}.png",
                caption=f"../report/{pictured.kind(figure)}.rst",
                category="Figures",
                labels=pictured.labels(CONFIG, figure),
            )
            for figure in pictured.of_comparison(CONFIG)
        ],
        svg=expand(
            "results/report/figures/{figure}.{suffix}",
            figure=pictured.of_comparison(CONFIG),
            suffix=("svg", "pdf"),
        ),
    log:
        "results/report/figures/log.txt",
    benchmark:
        "results/report/figures/benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.figures(CONFIG, pictured.trainings(CONFIG)),
        trigger=jobs.trigger(jobs.figures(CONFIG, pictured.trainings(CONFIG))),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop report {output.settings} >{log} 2>&1
        """


if pictured.sweeps(CONFIG):

    localrules:
        report_sweeps,

    rule report_sweeps:
        input:
            table="results/report/ablation.csv",
        output:
            settings="results/report/figures/ablation_sweeps.settings.yaml",
            png=report(
                "results/report/figures/ablation_sweeps.png",
                caption="../report/ablation_sweeps.rst",
                category="Figures",
                labels=pictured.labels(CONFIG, "ablation_sweeps"),
            ),
            vector=expand("results/report/figures/ablation_sweeps.{suffix}", suffix=("svg", "pdf")),
        log:
            "results/report/figures/ablation_sweeps.log.txt",
        benchmark:
            "results/report/figures/ablation_sweeps.benchmark.tsv"
        conda:
            "../../environment.yml"
        params:
            settings=jobs.sweeps(CONFIG, pictured.sweeps(CONFIG)),
            trigger=jobs.trigger(jobs.sweeps(CONFIG, pictured.sweeps(CONFIG))),
        shell:
            """
            echo {params.settings:q} >{output.settings}
            exec simcrop report {output.settings} >{log} 2>&1
            """


# What runs took is read where it lies: a page is no reason to run anything again.
rule report_page:
    input:
        tables=expand("results/report/{table}.csv", table=plan.TABLES),
        pictures=expand("results/report/figures/{figure}.svg", figure=pictured.names(CONFIG)),
        scores=plan.all_scores(CONFIG),
        audits=expand("results/prepare/{cohort}/audit.csv", cohort=CONFIG.prepare),
    output:
        settings="results/report/page.settings.yaml",
        page=report(
            "results/report/index.html",
            caption="../report/page.rst",
            category="All on one page",
            labels={"page": "tables, figures, provenance, costs, cases set aside"},
        ),
        costs="results/report/costs.csv",
    log:
        "results/report/page.log.txt",
    benchmark:
        "results/report/page.benchmark.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=jobs.page(CONFIG, pictured.shown(CONFIG)),
        trigger=jobs.trigger(jobs.page(CONFIG, pictured.shown(CONFIG))),
    shell:
        """
        echo {params.settings:q} >{output.settings}
        exec simcrop report {output.settings} >{log} 2>&1
        """
