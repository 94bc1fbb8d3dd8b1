"""readme.py - puts the results into the project's pages.

README.md has places for what fits there, each between two marks that stand on lines of their own:

    <!-- compare:speed -->
    <!-- end -->

head, or a section's name (report.for_page). What has not been measured keeps what stands there; the rest of
the page is not touched. The whole report goes to bench/REPORT.md beside the page, the pictures to
bench/pictures: what is in README.md comes from the same samples.
"""
import os
import re

from . import plot, report

REPORT = 'bench/REPORT.md'
PICTURES = 'pictures'  # beside the report
GENERATED = '<!-- Written by bench/compare --readme: what is changed here by hand is lost. -->\n\n'


def _write(path, text):
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.replace(path + '.new', path)


def put(result, path):
    path = os.fspath(path)
    report_path = os.path.join(os.path.dirname(os.path.abspath(path)), REPORT)
    folder = os.path.join(os.path.dirname(report_path), PICTURES)
    os.makedirs(folder, exist_ok=True)
    pictures = {name: f'{PICTURES}/{file}' for name, file in plot.draw(result, folder).items()}
    _write(report_path, GENERATED + report.markdown(result, pictures))
    with open(path) as f:
        text = f.read()
    for mark, lines in report.for_page(result).items():
        shown = [f'![{name}]({os.path.dirname(REPORT)}/{pictures[name]})\n'
                 for name in report.PAGE_PLOTS.get(mark, []) if name in pictures]
        body = '\n'.join(lines).strip('\n') + '\n\n' + '\n'.join(shown)
        text, found = re.subn(rf'(<!-- compare:{mark} -->\n).*?(<!-- end -->)',
                              lambda m, body=body: f'{m[1]}{body.rstrip()}\n{m[2]}', text, flags=re.S)
        if not found:
            print(f'{path}: no place for {mark}')
    _write(path, text)
