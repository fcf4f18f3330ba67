using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace Nubabel.Api.Tests.Fuzz;

/// <summary>Makes bad values out of good ones. All it does follows from its seed.</summary>
internal sealed class Mutations(int seed)
{
    private static readonly string[] Texts =
    [
        "", " ", "a", "\0", "\uFFFE", "\uFEFF", "\u202Eabc", "e\u0301", "\U0001F469\u200D\U0001F680", "'; drop table events.mt_events; --", "%00", "../../etc/passwd", "{{7*7}}", "${jndi:ldap://x}",
        "<script>alert(1)</script>", "null", "true", "-1", "1e309", "0x10", "*DEFAULT*", "2026-13-45T99:99:99Z", "9999-12-31T23:59:59.9999999Z", "0001-01-01T00:00:00Z", "\r\nX-Evil: 1", "a@b.example",
        "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "owner", "allow", "percentage", "nbr.platform.x.0.y", "__proto__", "constructor",
    ];

    private static readonly string[] Numbers =
        ["0", "-0", "-1", "1.5", "100.001", "1e5", "1e400", "-1e-400", "2147483648", "9223372036854775808", "79228162514264337593543950336", "0.1000000000000000055511151231257827", "01", "NaN"];

    private const int Largest = 500_000;

    private readonly Random random = new(seed);

    public int Below(int bound) => random.Next(bound);
    public bool Chance(int percent) => random.Next(100) < percent;
    public T One<T>(IReadOnlyList<T> of) => of[random.Next(of.Count)];

    /// <summary>A text: a known nuisance, a long one, or random characters of every plane.</summary>
    public string Text() => random.Next(10) switch
    {
        < 6 => One(Texts),
        6 => new string((char)random.Next('!', '~'), random.Next(1, 5_000)),
        7 => string.Concat(Enumerable.Range(0, random.Next(1, 40)).Select(_ => char.ConvertFromUtf32(random.Next(0x10000) is var c && c is >= 0xD800 and < 0xE000 ? 0x1F600 : c))),
        8 => random.NextInt64().ToString(CultureInfo.InvariantCulture),
        _ => Guid.NewGuid().ToString(),
    };

    /// <summary>The bytes of a body that began as a good one.</summary>
    public byte[] Body(JsonNode? good)
    {
        if (good is null || Chance(3)) return Encoding.UTF8.GetBytes(One(["", "{", "[]", "null", "7", "\"x\"", "{}{}", "{\"a\":1,}", "//", "{\"\\ud800\":1}", new string('[', 5_000)]));
        if (Chance(20)) return Encoding.UTF8.GetBytes(good.ToJsonString());
        var changed = good.DeepClone();
        for (var i = random.Next(1, 4); i > 0; i--) changed = Change(changed);
        var bytes = Encoding.UTF8.GetBytes(changed?.ToJsonString() ?? "null");
        // A body beyond the bound is answered while it is still being sent, which a client may only see as a broken connection; that has its own test.
        if (bytes.Length > Largest || Chance(5)) bytes = [.. bytes.Take(random.Next(Math.Min(bytes.Length, Largest) + 1))];
        for (var i = Chance(8) ? random.Next(1, 4) : 0; i > 0 && bytes.Length > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        if (Chance(3)) bytes = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(bytes).Replace("{", "{\"name\":1,\"name\":2,", StringComparison.Ordinal));
        return bytes;
    }

    private JsonNode? Change(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject fields when fields.Count > 0 && !Chance(15):
                var name = One(fields.Select(f => f.Key).ToArray());
                switch (random.Next(8))
                {
                    case 0: fields.Remove(name); break;
                    case 1: fields[Text()] = Value(); break;
                    case 2: fields[One(["__proto__", "constructor", "Name", "tenant", "id", "role", "owner"])] = Value(); break;
                    default:
                        var inner = fields[name];
                        fields.Remove(name);
                        fields[name] = Change(inner);
                        break;
                }
                return fields;
            case JsonArray { Count: > 0 } items when !Chance(20):
                if (Chance(20))
                {
                    for (var i = random.Next(1, 1_200); i > 0; i--) items.Add(items[0]?.DeepClone());
                    return items;
                }
                var at = random.Next(items.Count);
                var item = items[at];
                items[at] = null;
                items[at] = Change(item);
                return items;
            default:
                return Value();
        }
    }

    private JsonNode? Value() => random.Next(7) switch
    {
        0 => null,
        1 => JsonNode.Parse(One([.. Numbers.Where(n => n is not ("01" or "NaN"))])),
        2 => JsonValue.Create(Chance(50)),
        3 => new JsonArray(Text(), Text()),
        4 => new JsonObject { [One(["a", "$p", "s", "c", "value"])] = Text() },
        _ => JsonValue.Create(Text()),
    };

    public string Number() => One(Numbers);
}
