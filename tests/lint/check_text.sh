#!/usr/bin/env bash
# check_text.sh ROOT format|spelling|words
set -euo pipefail
cd "$1"
mapfile -t sources < <(find app stations drivers firmware-images db tests -name '*.h' -o -name '*.cpp' | sort)
case $2 in
    format)
        clang-format-19 --dry-run -Werror "${sources[@]}"
        echo "${#sources[@]} files are formatted" ;;
    spelling)
        codespell --ignore-words-list=nnumber,iif,inflight,unter,ue,statics,inout,fo,te,nd,hart,sav,ser,clos \
            --skip='*.json,*.pem,*.png,./build' README.md app stations drivers firmware-images db \
            tests installer
        echo "no spelling mistakes found" ;;
    words)
        # Work left open, or words that only fit the workshop.
        if grep -nIE '\b(TODO|FIXME|XXX|QEXPECT_FAIL)\b' "${sources[@]}" | grep -v tests/lint/; then
            echo "work is left open" >&2
            exit 1
        fi
        echo "nothing is left open" ;;
esac
