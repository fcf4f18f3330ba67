using System.Globalization;
using Nubabel.Domain;
using Nubabel.Testing;

namespace Nubabel.Bench;

/// <summary>A log as years of use leave it, written in large statements: devices of many users in many organizations, each registered and then given new keys.</summary>
internal static class Seed
{
    public const string Tenant = "019a0000-0000-7000-8000-00000000aaaa";
    public const string Owner = "019a2b3c-4d5e-7f60-8123-456789abcdef";
    private const string StreamPrefix = "019a0000-0000-7000-8000-";

    /// <summary>The id of the n-th device, from 1 on.</summary>
    public static Guid Device(int n) => Guid.Parse(StreamPrefix + n.ToString("x12", CultureInfo.InvariantCulture));

    /// <summary>A sealed value as long as that of a short name, and what it is unique by, as members of a JSON text. Nothing in a bench opens it.</summary>
    public const string SealedName = $$"""
        "name": {"$p": 1, "s": "user-{{Owner}}", "c": "{{Cipher}}"}, "nameKey": "{{NameKey}}"
        """;

    public const string NameKey = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    private const string Cipher = "bWFjLW9mLW5hbWUxY2lwaGVyLXRleHQtYW5kLWl0cy10YWctMTIzNDU2";

    public static Personal Name { get; } = new($"user-{Owner}", Cipher);

    /// <summary>As an SQL expression of <c>n</c>.</summary>
    public const string DeviceOfN = $"'device-{StreamPrefix}' || lpad(to_hex(n), 12, '0')";

    /// <summary>So many events in one statement: it takes seconds.</summary>
    private const int Together = 500_000;

    /// <param name="tenants">1 puts all into <see cref="Tenant"/>.</param>
    /// <param name="each">Events of a stream. Streams grow a thousand at a time, side by side.</param>
    public static async Task Devices(TestDatabase database, long streams, int each, int tenants = 1)
    {
        var part = Math.Max(1_000, Together / each);
        for (long from = 1; from <= streams; from += part)
        {
            await Devices(database, from, Math.Min(streams, from + part - 1), each, tenants);
            await database.Run("vacuum events.mt_streams, events.mt_events");
        }
        // A key that is gone: a server takes sealed values without any keys for a backup that was restored without them, and does not start.
        await database.Run($"insert into nubabel.subject_keys (tenant_id, subject, destroyed) select distinct tenant_id, 'user-{Owner}', now() from events.mt_streams on conflict do nothing");
        await database.Run("analyze events.mt_streams, events.mt_events");
    }

    private static async Task Devices(TestDatabase database, long from, long to, int each, int tenants)
    {
        var tenant = tenants == 1 ? $"'{Tenant}'" : $"'019a0000-0000-7000-8000-' || lpad(to_hex(n % {tenants}), 12, '0')";
        // The foreign key is kept by construction; checking it row by row is most of the time.
        await database.Run($$"""
            set session_replication_role = replica;
            insert into events.mt_streams (tenant_id, id, type, version, timestamp, created)
              select {{tenant}}, {{DeviceOfN}}, 'device', {{each}}, now(), now() from generate_series({{from}}, {{to}}) n;
            insert into events.mt_events (seq_id, id, stream_id, version, data, type, timestamp, tenant_id, mt_dotnet_type, correlation_id, user_name, headers)
              select nextval('events.mt_events_sequence'), gen_random_uuid(), x.stream, x.v,
                     case when x.v = 1 then '{"owner": "{{Owner}}", {{SealedName}}, "type": "mobile"}'::jsonb else jsonb_build_object('publicKey', 'MCowBQYDK2VwAyEA' || x.v) end,
                     case when x.v = 1 then 'device_registered' else 'device_key_changed' end,
                     timestamptz '2026-01-01' + make_interval(secs => x.n + x.v), x.tenant,
                     case when x.v = 1 then 'Nubabel.Domain.Devices.DeviceRegistered, Nubabel.Domain' else 'Nubabel.Domain.Devices.DeviceKeyChanged, Nubabel.Domain' end,
                     'bench', 'user:{{Owner}}', case when x.v = 1 then '{"$v": 2, "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}'::jsonb else '{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}' end
                from (select n, v, {{DeviceOfN}} as stream, {{tenant}} as tenant from generate_series({{from}}, {{to}}) n, generate_series(1, {{each}}) v order by n / 1000, v, n) x;
            set session_replication_role = origin;
            """);
    }
}
