import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.functions.AggregateFunction;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * Runs a file of Flink SQL in one JVM: {@code SqlRun FILE [NAME=VALUE]...}. Each {@code ${NAME}} of the file is replaced;
 * statements end with a semicolon at the end of a line; all INSERTs together are one job.
 *
 * <p>Two functions calculate with decimals of any length as text, for Flink's DECIMAL ends at 38 digits, and NUMERIC(78,0)
 * does not fit: {@code exact_product(a, b)} and the aggregate {@code exact_sum(a)}.
 */
public final class SqlRun {
    /** Without these, Flink listens on all interfaces. */
    private static final String[] ADDRESSES = {
        "rest.bind-address", "rest.address", "jobmanager.bind-host", "jobmanager.rpc.address", "taskmanager.bind-host",
        "taskmanager.host"
    };

    private SqlRun() {}

    public static void main(String[] arguments) throws Exception {
        String sql = Files.readString(Path.of(arguments[0])).replaceAll("(?m)^\\s*--.*$", "");
        for (int at = 1; at < arguments.length; at++) {
            String[] pair = arguments[at].split("=", 2);
            sql = sql.replace("${" + pair[0] + "}", pair[1]);
        }
        if (sql.contains("${")) {
            int start = sql.indexOf("${");
            throw new IllegalArgumentException("say what this is: " + sql.substring(start, sql.indexOf('}', start) + 1));
        }
        TableEnvironment tables = environment();
        StatementSet job = tables.createStatementSet();
        for (String statement : sql.split(";\\s*(\\n|$)")) {
            if (statement.strip().startsWith("INSERT")) {
                job.addInsertSql(statement.strip());
            } else if (!statement.isBlank()) {
                tables.executeSql(statement.strip());
            }
        }
        job.execute().await();
    }

    private static TableEnvironment environment() {
        Configuration settings = new Configuration();
        for (String address : ADDRESSES) {
            settings.setString(address, "127.0.0.1");
        }
        settings.setString("parallelism.default", "1");
        settings.setString("restart-strategy.type", "none");
        settings.setString("table.local-time-zone", "UTC");
        EnvironmentSettings streaming =
                EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build();
        TableEnvironment tables = TableEnvironment.create(streaming);
        tables.createTemporarySystemFunction("exact_product", ExactProduct.class);
        tables.createTemporarySystemFunction("exact_sum", ExactSum.class);
        return tables;
    }

    /** The product of two decimals; NULL where one is. */
    public static final class ExactProduct extends ScalarFunction {
        public String eval(String a, String b) {
            return a == null || b == null ? null : new BigDecimal(a).multiply(new BigDecimal(b)).toPlainString();
        }
    }

    /** A sum so far. */
    public static final class Sum {
        public String total = "0";

        void add(BigDecimal amount) {
            total = new BigDecimal(total).add(amount).toPlainString();
        }
    }

    /** The sum of decimals; NULLs count nothing. */
    public static final class ExactSum extends AggregateFunction<String, Sum> {
        @Override
        public Sum createAccumulator() {
            return new Sum();
        }

        public void accumulate(Sum sum, String amount) {
            if (amount != null) {
                sum.add(new BigDecimal(amount));
            }
        }

        /** A row that is updated or deleted is taken back. */
        public void retract(Sum sum, String amount) {
            if (amount != null) {
                sum.add(new BigDecimal(amount).negate());
            }
        }

        @Override
        public String getValue(Sum sum) {
            return sum.total;
        }
    }
}
