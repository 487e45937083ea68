#!/bin/sh
# A small course killed at random moments ends with the same bits as one that was not:
# kill_course.sh COURSE FOLDER KILLS
set -u
course=$1 folder=$2 kills=$3
rm -rf "$folder/whole" "$folder/killed"
started=$(date +%s%N)
"$course" "$folder/whole" 1 4 small > "$folder/whole.log" 2>&1 || {
    tail -n 3 "$folder/whole.log"
    exit 1
}
took=$((($(date +%s%N) - started) / 1000000))
killed=0
while [ $killed -lt "$kills" ]; do
    "$course" "$folder/killed" 1 4 small > "$folder/killed.log" 2>&1 &
    process=$!
    # somewhere in the whole run, the beginning more often: every part is begun again there
    number=$(od -An -N2 -tu2 /dev/urandom)
    wait_ms=$((number % (took * (1 + killed % 4) / 4 + 1)))
    sleep $((wait_ms / 1000)).$(printf %03d $((wait_ms % 1000)))
    if ! kill -KILL $process 2> /dev/null; then # it came to its end: the next one begins anew
        wait $process || { tail -n 3 "$folder/killed.log"; exit 1; }
        rm -rf "$folder/killed"
        continue
    fi
    wait $process 2> /dev/null
    killed=$((killed + 1))
    [ $((killed % 5)) -ne 0 ] && continue
    "$course" "$folder/killed" 1 4 small > "$folder/killed.log" 2>&1 || {
        tail -n 3 "$folder/killed.log"
        exit 1
    }
    for file in $(cd "$folder/whole" && find . -type f ! -name 'report.*' | sort); do
        cmp "$folder/whole/$file" "$folder/killed/$file" || {
            echo "after $killed kills: $file differs"
            exit 1
        }
    done
    rm -rf "$folder/killed"
done
echo "a course of $took ms was killed $killed times: models, answers, stores and" \
    "curated files have the bits of the unbroken run"
