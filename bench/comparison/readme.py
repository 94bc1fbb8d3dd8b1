"""readme.py - puts the results into a page that has places for them.

A place is what stands between two marks, each on a line of its own:

    <!-- compare:speed -->
    <!-- end -->

head, or a section's name (report.for_page); a section's pictures follow its table, as files in bench/pictures
beside the page. What has not been measured keeps what stands there. The rest of the page is not touched.
"""
import os
import re

from . import plot, report

PICTURES = 'bench/pictures'
SHOWN = report.PLOTS


def put(result, path):
    path = os.fspath(path)
    folder = os.path.join(os.path.dirname(os.path.abspath(path)), PICTURES)
    os.makedirs(folder, exist_ok=True)
    made = plot.draw(result, folder)
    with open(path) as f:
        text = f.read()
    for mark, lines in report.for_page(result).items():
        pictures = [f'![{name}]({PICTURES}/{made[name]})\n' for name in SHOWN.get(mark, []) if name in made]
        body = '\n'.join(lines).strip('\n') + '\n\n' + '\n'.join(pictures)
        text, found = re.subn(rf'(<!-- compare:{mark} -->\n).*?(<!-- end -->)',
                              lambda m, body=body: f'{m[1]}{body.rstrip()}\n{m[2]}', text, flags=re.S)
        if not found:
            print(f'{path}: no place for {mark}')
    with open(path + '.new', 'w') as f:
        f.write(text)
    os.replace(path + '.new', path)
