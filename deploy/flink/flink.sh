#!/usr/bin/env bash
# Flink SQL over pgtape's topics, in one JVM from Maven artifacts: flink.sh fetch | run [FILE [NAME=VALUE]...].
# fetch gets the jars (134 MB) and compiles SqlRun.java; run does that too, and runs FILE (default pnl_daily.sql) with
# BROKERS (default 127.0.0.1:9092), PREFIX (the topic_prefix; default shop) and END (default unbounded: for ever;
# latest-offset: up to what is there, then it ends) of the environment. FLINK_HOME (default target/flink) holds the jars.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${FLINK_HOME:-$here/../../target/flink}

need() {
    command -v "$1" >/dev/null && return
    echo "missing on this machine: $1; install with: sudo apt-get install $2" >&2
    exit 2
}

fetch() {
    need java default-jre-headless
    # The mark is set last: a fetch that was cut short is begun again.
    [ "$home/.complete" -nt "$here/pom.xml" ] && [ "$home/.complete" -nt "$here/SqlRun.java" ] && return
    need mvn maven
    mkdir -p "$home"
    rm -rf "$home/libs" "$home/classes"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home/libs" </dev/null
    class_path=$(printf '%s:' "$home"/libs/*.jar)
    java -jar "$home"/libs/ecj-*.jar -17 -proc:none -nowarn -cp "$class_path" -d "$home/classes" "$here/SqlRun.java"
    touch "$home/.complete"
}

run() {
    fetch
    file=${1:-$here/pnl_daily.sql}
    [ $# -gt 0 ] && shift
    exec java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
        -Dlog4j2.configurationFile="$here/../kafka/log4j2.properties" -cp "$home/classes:$home/libs/*" SqlRun "$file" \
        "BROKERS=${BROKERS:-127.0.0.1:9092}" "PREFIX=${PREFIX:-shop}" "END=${END:-unbounded}" "$@"
}

case "${1:-}" in
fetch | run) "$@" ;;
*)
    echo "usage: flink.sh fetch | run [FILE [NAME=VALUE]...]" >&2
    exit 2
    ;;
esac
