#!/usr/bin/env bash
# A Kafka broker from Maven artifacts, on the loopback: kafka.sh fetch|up|down|status.
# KAFKA_HOME (default target/kafka) holds jars, data and log; KAFKA_PORT (default 9092) is where it listens, the port
# after it is the controller's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${KAFKA_HOME:-$here/../../target/kafka}
port=${KAFKA_PORT:-9092}
controller=$((port + 1))
seconds_to_start=60

need() {
    command -v "$1" >/dev/null && return
    echo "missing on this machine: $1; install with: sudo apt-get install $2" >&2
    exit 2
}

jvm() { java -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$home/libs/*" "$@"; }

running() { [ -f "$home/pid" ] && kill -0 "$(cat "$home/pid")" 2>/dev/null; }

fetch() {
    need java default-jre-headless
    # The mark is set last: a fetch that was cut short is begun again.
    [ "$home/libs/.complete" -nt "$here/pom.xml" ] && return
    need mvn maven
    mkdir -p "$home/libs"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home/libs" </dev/null
    touch "$home/libs/.complete"
}

up() {
    fetch
    if running; then
        echo "Kafka runs already: 127.0.0.1:$port"
        return
    fi
    if [ ! -d "$home/data" ]; then
        listeners="PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
        {
            cat "$here/server.properties"
            echo "listeners=$listeners"
            echo "advertised.listeners=$listeners"
            echo "controller.quorum.bootstrap.servers=127.0.0.1:$controller"
            echo "log.dirs=$home/data"
        } >"$home/server.properties"
        jvm kafka.tools.StorageTool format --standalone -t "$(jvm kafka.tools.StorageTool random-uuid)" \
            -c "$home/server.properties" >/dev/null
    fi
    # setsid and exec: it outlives this shell, and the number noted is its own.
    setsid java -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$home/libs/*" \
        kafka.Kafka "$home/server.properties" >>"$home/log" 2>&1 </dev/null &
    echo $! >"$home/pid"
    for _ in $(seq $((seconds_to_start * 5))); do
        if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "Kafka listens on 127.0.0.1:$port; stop it with: make kafka-down"
            return
        fi
        running || break
        sleep 0.2
    done
    tail -n 20 "$home/log" >&2
    echo "Kafka did not start; its log is $home/log" >&2
    exit 1
}

down() {
    if running; then
        pid=$(cat "$home/pid")
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
    fi
    rm -rf "$home/pid" "$home/data" "$home/server.properties"
    echo "Kafka is stopped, its data removed"
}

case "${1:-}" in
fetch | up | down) "$1" ;;
status) if running; then echo "Kafka listens on 127.0.0.1:$port"; else echo "Kafka does not run"; fi ;;
*)
    echo "usage: kafka.sh fetch|up|down|status" >&2
    exit 2
    ;;
esac
