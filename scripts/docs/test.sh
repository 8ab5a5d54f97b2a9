#!/bin/bash
# Builds the documentation, and shows that what would break it is noticed. Lines of output are "ok NAME", "not ok NAME" and comments, as
# of the C tests; see scripts/test.sh.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
export PYTHONDONTWRITEBYTECODE=1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

failures=0
verdict() { # NAME STATUS
    if [ "$2" -eq 0 ]; then
        echo "ok $1"
    else
        sed 's/^/# /' "$tmp/log" | tail -n 20
        echo "not ok $1"
        failures=$((failures + 1))
    fi
}
links() { python3 scripts/docs/links.py "$@" >"$tmp/log" 2>&1; }
complains_of() { grep -qF -- "$1" "$tmp/log"; }
complains() { grep -qxF -- "$1" "$tmp/log"; }

scripts/docs/build.sh >"$tmp/log" 2>&1
verdict documentation_is_built_without_warnings $?

# The conventions come first, functions are in the topics of the header, and names in prose are links.
{
    grep -q '<dt>Handles</dt>' target/docs/index.html &&
        grep -q '<h2 class="memtitle">.*sandlock_policy_new()' target/docs/group__functions__policy.html &&
        grep -q 'href="group__functions__starting__programs.html#[a-z0-9]*"[^>]*>sandlock_run()</a>' target/docs/group__functions__policy.html
}
verdict conventions_come_first_and_topics_are_the_headers $?

cp -r target/docs "$tmp/copy" && sed -i "s/C's free() is never needed/C's free() is/" "$tmp/copy/index.html"
! python3 scripts/docs/lost.py "$tmp/copy" >"$tmp/log" 2>&1 && complains_of "never" && complains_of "include/sandlock.h: on no page"
verdict sentence_that_is_lost_is_noticed $?

# COMMENT: doxygen, set up as for the pages, fails for this comment of a function.
refused() {
    printf '/** @file\n * A file. */\n%s\nvoid function(void);\n' "$1" >"$tmp/small.h"
    printf '@INCLUDE = scripts/docs/Doxyfile\nINPUT = %s\nOUTPUT_DIRECTORY = %s\n' "$tmp/small.h" "$tmp" | doxygen - >"$tmp/log" 2>&1
    [ $? -ne 0 ]
}
refused '/** Does #something(). */' && complains_of 'something'
verdict name_that_the_header_lacks_is_noticed $?
refused '' && complains_of 'not documented'
verdict function_without_a_comment_is_noticed $?
! refused '/** Does something. */'
verdict function_with_a_comment_passes $?

mkdir "$tmp/site" "$tmp/pages"
good='<p id="here"><a href="b.html#there">b</a><a href="#here">here</a><a href="https://example.com/a#b">c</a><img src="i.png"></p>'
write() { echo "$1" >"$tmp/site/a.html" && echo '<h1 id="there">b</h1>' >"$tmp/site/b.html" && touch "$tmp/site/i.png"; }
write "$good" && links --site "$tmp/site" && complains "4 links, 0 broken"
verdict site_without_broken_links_passes $?

# LINK REASON: a page with this link among good ones fails, and the link is named.
page_fails() {
    write "$good$1"
    ! links --site "$tmp/site" && complains "$tmp/site/a.html: $2"
}
page_fails '<a href="c.html">x</a>' "c.html: there is no such file"
verdict page_that_is_missing_is_noticed $?
page_fails '<img src="j.png">' "j.png: there is no such file"
verdict picture_that_is_missing_is_noticed $?
page_fails '<a href="b.html#here">x</a>' "b.html#here: there is no such anchor"
verdict anchor_that_is_missing_is_noticed $?
page_fails '<a href="#there">x</a>' "#there: there is no such anchor"
verdict anchor_that_is_missing_in_the_page_itself_is_noticed $?
page_fails '<a href="https:///a">x</a>' "https:///a: has no host" && page_fails '<a href="htps://example.com">x</a>' \
    "htps://example.com: has an unknown scheme"
verdict address_that_is_none_is_noticed $?
links --site "$tmp/pages"
verdict site_without_pages_is_noticed $((! $?))

text='# A title, with `code`

[b](b.md#other-title) [here](#a-title-with-code) [c](https://example.com) `[not](a-link.md)`
'
printf '%s' "$text" >"$tmp/pages/a.md" && echo '## Other title' >"$tmp/pages/b.md"
links "$tmp/pages/a.md" && complains "3 links, 0 broken"
verdict text_without_broken_links_passes $?
text_fails() {
    printf '%s\n%s\n' "$text" "$1" >"$tmp/pages/a.md"
    ! links "$tmp/pages/a.md" && complains "$tmp/pages/a.md: $2"
}
text_fails '[x](c.md)' "c.md: there is no such file" && text_fails '[x]: c.md' "c.md: there is no such file"
verdict file_that_is_missing_is_noticed $?
text_fails '[x](b.md#title)' "b.md#title: there is no such anchor"
verdict heading_that_is_missing_is_noticed $?

[ "$failures" -eq 0 ]
