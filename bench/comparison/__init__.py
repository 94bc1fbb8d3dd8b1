"""What bench/compare is made of.

    workloads.py  what is measured, and the targets of PERFORMANCE.md        data, no code to run
    servers.py    starting, pinning, watching and filling servers
    drive.py      one run of one workload on one server, whoever generates the load
    sections.py   speed, routing, memory, latency: many runs, servers taking turns
    stalls.py     how long others wait while something large happens
    figures.py    report.json ─► numbers: medians, paired ratios, verdicts
    report.py     numbers ─► report.md
    plot.py       numbers ─► SVG
    readme.py     report.json ─► README.md, bench/REPORT.md and the pictures

Sections only collect samples (lists of flat dictionaries); everything that is computed from them is
computed by figures.py, so that a report can be made again from its report.json.
"""
