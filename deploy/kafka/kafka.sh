#!/usr/bin/env bash
# A Kafka broker from Maven artifacts, on the loopback: kafka.sh fetch|up|down|status; and a schema registry, Apicurio's:
# kafka.sh fetch-registry|registry-up|registry-down.
# KAFKA_HOME (default target/kafka) holds jars, data and log; KAFKA_PORT (default 9092) is where it listens, the port
# after it is the controller's. REGISTRY_HOME (default target/registry) and REGISTRY_PORT (default 8081) are the registry's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${KAFKA_HOME:-$here/../../target/kafka}
mkdir -p "$home"
home=$(cd "$home" && pwd)
port=${KAFKA_PORT:-9092}
controller=$((port + 1))
seconds_to_start=60
registry_home=${REGISTRY_HOME:-$here/../../target/registry}
registry_port=${REGISTRY_PORT:-8081}
registry_version=2.6.13.Final # The newest for Java 17.
avro_version=1.12.0

need() {
    command -v "$1" >/dev/null && return
    echo "missing on this machine: $1; install with: sudo apt-get install $2" >&2
    exit 2
}

jvm() { java -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$home/libs/*" "$@"; }

# The number noted must be that of a broker of this folder: it may be another process's by now, or have been copied along.
running() {
    [ -f "$home/pid" ] && tr '\0' ' ' <"/proc/$(cat "$home/pid")/cmdline" 2>/dev/null | grep -qF "$home/server.properties"
}

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

copy_artifact() {
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="$1" -DoutputDirectory="$2" </dev/null
}

# The registry, and Avro's own tools, which read what the tests write.
fetch_registry() {
    need java default-jre-headless
    mark="$registry_home/.complete-$registry_version-$avro_version"
    [ -f "$mark" ] && return
    need mvn maven
    rm -rf "$registry_home/lib" "$registry_home/meta" "$registry_home/tools"
    mkdir -p "$registry_home/tools"
    copy_artifact "io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all" "$registry_home"
    tar xzf "$registry_home"/*.tar.gz -C "$registry_home"
    rm "$registry_home"/*.tar.gz
    mv "$registry_home"/apicurio-registry-app-*-runner.jar "$registry_home/runner.jar"
    copy_artifact "org.apache.avro:avro-tools:$avro_version" "$registry_home/tools"
    mv "$registry_home"/tools/avro-tools-*.jar "$registry_home/tools/avro-tools.jar"
    touch "$mark" "$registry_home/.complete"
}

registry_runs() { [ -f "$registry_home/pid" ] && kill -0 "$(cat "$registry_home/pid")" 2>/dev/null; }

registry_up() {
    fetch_registry
    url="http://127.0.0.1:$registry_port/apis/ccompat/v7"
    if registry_runs; then
        echo "the schema registry runs already: $url"
        return
    fi
    setsid java -Xmx256m -XX:+UseSerialGC -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$registry_port" \
        -Dregistry.ccompat.use-canonical-hash=true -jar "$registry_home/runner.jar" \
        >>"$registry_home/log" 2>&1 </dev/null &
    echo $! >"$registry_home/pid"
    for _ in $(seq $((seconds_to_start * 5))); do
        if (: <"/dev/tcp/127.0.0.1/$registry_port") 2>/dev/null; then
            echo "the schema registry listens on $url; stop it with: make registry-down"
            return
        fi
        registry_runs || break
        sleep 0.2
    done
    tail -n 20 "$registry_home/log" >&2
    echo "the schema registry did not start; its log is $registry_home/log" >&2
    exit 1
}

registry_down() {
    if registry_runs; then
        pid=$(cat "$registry_home/pid")
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
    fi
    rm -f "$registry_home/pid"
    echo "the schema registry is stopped; it kept its schemas in memory"
}

case "${1:-}" in
fetch | up | down) "$1" ;;
fetch-registry | registry-up | registry-down) "${1/-/_}" ;;
status) if running; then echo "Kafka listens on 127.0.0.1:$port"; else echo "Kafka does not run"; fi ;;
*)
    echo "usage: kafka.sh fetch|up|down|status|fetch-registry|registry-up|registry-down" >&2
    exit 2
    ;;
esac
