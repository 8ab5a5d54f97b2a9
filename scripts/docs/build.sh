#!/bin/bash
# The documentation as pages, in target/docs: index.html is the manual's first comment, the conventions. Called by `make docs`.
#
# What doxygen warns of, what is lost on the way, and a link that leads nowhere, fails.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/../.."

site=target/docs
work=target/docs.d
rm -rf "$site" "$work"
mkdir -p "$site"
export PYTHONDONTWRITEBYTECODE=1
python3 scripts/docs/prepare.py "$work" "$site"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
doxygen - <<END
@INCLUDE = scripts/docs/Doxyfile
PROJECT_NUMBER = $version
INPUT = $work
OUTPUT_DIRECTORY = target
EXAMPLE_PATH = examples
END

sed -i 's/\xee\x80\x80/*/g' "$site"/*.html # see STAR in prose.py
sed -i 's/<h2 class="groupheader">Detailed Description<.h2>//' "$site"/group__*.html # see layout.xml

# Pages of the manual refer to each other here, and to those of the system elsewhere.
for page in docs/man/*; do
    : >"$site/${page##*/}.html"
done
for page in docs/man/*; do
    (cd "$site" && mandoc -T html -W warning,stop -O "style=man.css,man=%N.%S.html;https://man7.org/linux/man-pages/man%S/%N.%S.html" \
        "../../$page" | sed 's|^<body>|&<p><a href="index.html">libsandlock</a></p>|' >"${page##*/}.html.new" &&
        mv "${page##*/}.html.new" "${page##*/}.html")
done
cp scripts/docs/man.css "$site/"

python3 scripts/docs/lost.py "$site"
python3 scripts/docs/links.py --site "$site"
python3 scripts/docs/links.py ./*.md docs/*.md examples/*.md bindings/*/*.md
