"""The README's walk, on a machine whose kernel has nbd: a virtual one."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT, Page, pages
from tests.docs.test_docs import by_name
from tests.vm.machine import Machine

pytestmark = pytest.mark.timeout(600)  # emulated, Python starts in seconds

SERVE = """
serve() { # READY COMMAND: start a server in place of the earlier one of that name, and wait until it is ready
    kind=$(cut -d" " -f1,2 <<<"$2" | tr " " "-")
    [ -z "${servers[$kind]-}" ] || { kill "${servers[$kind]}" && wait "${servers[$kind]}"; }
    : >"$kind.log"
    eval "exec $2" >"$kind.log" 2>&1 3>&- &
    servers[$kind]=$!
    until case $1 in /*) test -S "$1" ;; *) grep -q "$1" "$kind.log" ;; esac; do
        kill -0 "${servers[$kind]}" || { cat "$kind.log" && exit 1; }
        sleep 0.1
    done
    cat "$kind.log"
}
declare -A servers
"""


@pytest.mark.parametrize("page", [page for page in pages() if page.for_vm], ids=by_name)
def test_the_examples_of_a_page_run_as_they_stand(machine: Machine, page: Page) -> None:
    """Typed by root in the order of the page, nothing changed, every command succeeds."""
    script = [SERVE, f"ln -s {ROOT}/examples ."]
    for block in page.runnable():
        assert "'" not in block.options.get("serve", "")
        if "serve" in block.options:
            script.append(f"serve '{block.options['serve']}' {quoted(block.text)}")
        else:
            script.append(block.text)

    output = machine.check("\n".join(script), timeout=500)

    assert "/dev/nbd1" in output


def quoted(text: str) -> str:
    return "'" + text.strip().replace("'", "'\\''") + "'"
