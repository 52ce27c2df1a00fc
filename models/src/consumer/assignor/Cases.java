import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.*;
import org.apache.kafka.clients.consumer.internals.*;
import org.apache.kafka.common.*;

/**
 * Draws groups and prints what Kafka's assignors give to their members, in the format of cases.txt:
 *
 *   javac -cp kafka-clients-4.3.1.jar:slf4j-api.jar Cases.java
 *   java  -cp kafka-clients-4.3.1.jar:slf4j-api.jar:. Cases SEED COUNT
 */
public class Cases {
    static Random random;
    static int below(int bound) { return random.nextInt(bound); }

    static String join(Collection<?> all, String between) {
        StringJoiner list = new StringJoiner(between);
        for (Object one : all) list.add(one.toString());
        return all.isEmpty() ? "-" : list.toString();
    }

    static String partitions(Collection<TopicPartition> all) {
        TreeSet<String> sorted = new TreeSet<>();
        for (TopicPartition one : all) sorted.add(one.topic() + ":" + one.partition());
        return join(sorted, ",");
    }

    static ConsumerPartitionAssignor assignor(int which) {
        return switch (which) {
            case 0 -> new RangeAssignor();
            case 1 -> new RoundRobinAssignor();
            case 2 -> new StickyAssignor();
            default -> new CooperativeStickyAssignor();
        };
    }

    public static void main(String[] args) {
        long seed = Long.parseLong(args[0]);
        for (int number = 0; number < Integer.parseInt(args[1]); number++) {
            random = new Random(seed * 1_000_003 + number);
            one(number % 4);
        }
    }

    static void one(int which) {
        ConsumerPartitionAssignor assignor = assignor(which);
        StringBuilder out = new StringBuilder("case " + assignor.name() + "\n");
        List<Node> nodes = new ArrayList<>();
        int racks = below(3) == 0 ? 0 : 1 + below(3);
        for (int n = 0; n < 4; n++) nodes.add(new Node(n, "h", 1, racks == 0 ? null : "r" + n % racks));
        List<String> topics = new ArrayList<>();
        List<PartitionInfo> infos = new ArrayList<>();
        int same = below(2) == 0 ? 1 + below(6) : 0;
        for (int t = 0, count = 1 + below(4); t < count; t++) {
            String topic = List.of("orders", "billing", "mails", "audit").get(t);
            topics.add(topic);
            int partitions = same > 0 ? same : below(8);
            StringJoiner each = new StringJoiner("|");
            for (int p = 0; p < partitions; p++) {
                int replicas = 1 + below(3), first = below(4);
                Node[] all = new Node[replicas];
                TreeSet<String> names = new TreeSet<>();
                for (int r = 0; r < replicas; r++) {
                    all[r] = nodes.get((first + r) % 4);
                    if (all[r].rack() != null) names.add(all[r].rack().substring(1));
                }
                infos.add(new PartitionInfo(topic, p, all[0], all, all));
                each.add(join(names, ","));
            }
            out.append("topic ").append(topic).append(' ').append(partitions == 0 ? "none" : each).append('\n');
        }
        boolean equal = below(2) == 0;
        Map<String, Subscription> subscriptions = new HashMap<>();
        List<String> members = new ArrayList<>();
        Map<String, List<TopicPartition>> owned = new HashMap<>();
        int count = 1 + below(7);
        for (int m = 0; m < count; m++) {
            String member = "consumer-g-" + (m + 1) + "-" + new UUID(random.nextLong(), random.nextLong());
            members.add(member);
            owned.put(member, new ArrayList<>());
        }
        Collections.shuffle(members, random);
        int history = below(3);
        for (PartitionInfo info : infos) {
            if (history == 0 || below(4) == 0) continue;
            for (int copies = below(8) == 0 ? 2 : 1; copies > 0; copies--) {
                String owner = members.get(history == 1 ? below(count) : below(1 + below(count)));
                TopicPartition partition = new TopicPartition(info.topic(), info.partition());
                if (!owned.get(owner).contains(partition)) owned.get(owner).add(partition);
            }
        }
        for (String member : members) {
            List<String> wanted = new ArrayList<>();
            for (String topic : topics) if (equal || below(3) > 0) wanted.add(topic);
            if (wanted.isEmpty()) wanted.add(topics.get(0));
            List<TopicPartition> has = owned.get(member);
            int generation = below(6) == 0 ? -1 : 5 - below(2) * below(3);
            int told = below(5) == 0 ? Math.max(-1, generation - below(2)) : generation;
            Optional<String> rack = racks > 0 && below(4) > 0 ? Optional.of("r" + below(racks)) : Optional.empty();
            Optional<String> instance = below(5) == 0 ? Optional.of("i" + (10 + below(90)) + "." + members.indexOf(member)) : Optional.empty();
            ByteBuffer data = null;
            String user = "-";
            ConsumerPartitionAssignor own = assignor(which);
            if (which >= 2 && below(6) > 0) {
                own.onAssignment(new Assignment(has), new ConsumerGroupMetadata("g", told, "m", Optional.empty()));
                data = own.subscriptionUserData(new HashSet<>(wanted));
                user = which == 2 ? "sticky " + told + " " + partitions(has) : "cooperative " + told;
            }
            List<TopicPartition> tells = which == 3 ? has : List.of();
            Subscription subscription = new Subscription(wanted, data, tells, generation, rack);
            subscription.setGroupInstanceId(instance);
            subscriptions.put(member, subscription);
            out.append("member ").append(member).append(' ').append(instance.orElse("-")).append(' ')
                .append(rack.map(r -> r.substring(1)).orElse("-")).append(' ').append(join(wanted, ",")).append(' ')
                .append(partitions(tells)).append(' ').append(generation).append(' ').append(user).append('\n');
        }
        Cluster cluster = new Cluster("c", nodes, infos, Set.of(), Set.of());
        try {
            Map<String, Assignment> all = assignor.assign(cluster, new GroupSubscription(subscriptions)).groupAssignment();
            for (String member : members)
                out.append("gives ").append(partitions(all.get(member).partitions())).append('\n');
        } catch (RuntimeException failure) {
            out.append("throws\n");
        }
        System.out.print(out);
    }
}
