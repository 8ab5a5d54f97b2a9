# Judges what a program of the leak checks, or under load, has held as it went on: awk -v name=leak_go ... -f leaks.awk. It reads lines
#
#     held RUNS DESCRIPTORS THREADS CHILDREN RESIDENT ALLOCATED
#
# RESIDENT in KiB, ALLOCATED in bytes: what is given out by malloc(3), which is where the library has its memory from, and by the
# language's own allocator, after it has collected its garbage. Compared are the first line and the last, at a fifth of the runs and at
# the end: what is kept for the next time is there by then.
#
# Resident memory comes in pages and in whatever a collector reserves, so it may grow by what `resident` says: over the 8,000 runs of
# `make soak` by that many KiB / 8,000 for each. It sees what malloc knows nothing of: stacks of threads, mappings, of which the
# smallest is a page. Allocated memory is counted to the byte, and may grow by what `allocated` says. malloc gives out no less than 32
# bytes, so a block that is lost in every run of one of some dozen ways comes to 20 KiB and more over 8,000 runs.
#
# Go keeps threads: there may be `threads` more, and each has `each` bytes of its own.
#
# V8 reserves as it sees fit: with Node.js resident memory comes and goes by tens of MiB, and allocated memory grows in steps, of its
# tables. So there a loss is seen from 48 bytes in each run on, or a page; the library itself is held to the stricter rule by the program in C.
#
# The lines themselves are told if `verbose` is 1, or something has grown.
#
# Programs under load say besides `delay median` and `delay longest`, in milliseconds: how long their event loop did not get its turn.
# The former may be a hundredth of `delay`, which the latter may be: machines under tests are busy, but what waits in the loop for a
# sandbox waits for seconds.
$1 == "held" {
    if (!lines++)
        split($0, first)
    split($0, last)
    said = said "# " name ": " $2 " runs: descriptors " $3 ", threads " $4 ", children " $5 ", resident " $6 " KiB, allocated " $7 " bytes\n"
    next
}
$1 == "delay" { delays[$2] = $3 }
$1 == "delay" { print "# " name ": the loop was held up " $3 " ms: " $2 }
$1 == "alive" || $1 == "delay" { next }
{ print }

function check(what, good) {
    print (good ? "ok " : "not ok ") name "_" what
    failed += !good
}

END {
    if (lines < 5) {
        printf "%s", said
        print "not ok " name "_ended_before_its_time"
        exit 1
    }
    runs = last[2] - first[2]
    printf "# %s: %d runs between: %+.1f bytes a run resident, %+.2f allocated\n", name, runs, (last[6] - first[6]) * 1024 / runs,
        (last[7] - first[7]) / runs
    check("descriptors_are_flat", last[3] <= first[3])
    check("threads_are_flat", last[4] <= first[4] + threads)
    check("no_children_are_left", last[5] == 0)
    check("resident_memory_is_flat", last[6] - first[6] <= resident)
    check("allocated_memory_is_flat", last[7] - first[7] <= allocated + each * (last[4] - first[4]))
    if (delay)
        check("loop_has_its_turn", ("longest" in delays) && delays["longest"] <= delay && delays["median"] <= delay / 100)
    if (failed || verbose)
        printf "%s", said
    exit failed != 0
}
