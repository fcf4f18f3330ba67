using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Domain.Consumers;
using Nubabel.Projections.Consumers;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>A delivery that is to be tried.</summary>
/// <param name="Round">Of its rounds of attempts: raised by each resend.</param>
/// <param name="Ordered">Later events of the object wait for this one.</param>
public sealed record EventDelivery(Guid Delivery, Guid Consumer, string Stream, long Version, bool Ordered, int Round = 0);

/// <summary>What the fan-out knows of a consumer.</summary>
public sealed record ConsumerRoute(IReadOnlyList<string> Types, bool Ordered, bool Disabled = false)
{
    // By what it holds: a list alone would be equal to itself only.
    public bool Equals(ConsumerRoute? other) => other is not null && Types.SequenceEqual(other.Types) && (Ordered, Disabled) == (other.Ordered, other.Disabled);
    public override int GetHashCode() => HashCode.Combine(Types.Count, Ordered, Disabled);

    public bool Wants(string type) => Types.Contains("*") || Types.Contains(type);
}

/// <summary>
/// Makes one delivery for each event and consumer that wants it, in the order of the log. A consumer gets what stands behind its creation and before its
/// removal; what happens while it is disabled it does not get.
/// </summary>
public sealed class ConsumerFanOut : IFanOut<ConsumerRoute>
{
    /// <summary>So many deliveries of a consumer without order are under way at the same time, over all nodes: each of these lanes is one after the other.</summary>
    public const int AtOnce = 8;

    private const int LongestStream = 150;

    public static string Name => "deliveries";
    public static IReadOnlyList<string> Types => IntegrationEvents.Aliases;

    public static IReadOnlyList<string> RouteTypes { get; } =
        ["consumer_created", "consumer_types_chosen", "consumer_order_changed", "consumer_activated", "consumer_disabled", "consumer_removed", "organization_closed"];

    public static ConsumerRoute? Evolve(ConsumerRoute? route, Recorded e) => (route, e.Data) switch
    {
        (null, ConsumerCreated c) => new ConsumerRoute([.. c.Types.Select(t => t.Value)], c.Ordered),
        (null, _) or (_, ConsumerRemoved) => null,
        (_, ConsumerTypesChosen t) => route with { Types = [.. t.Types.Select(type => type.Value)] },
        (_, ConsumerOrderChanged o) => route with { Ordered = o.Ordered },
        (_, ConsumerActivated) => route with { Disabled = false },
        (_, ConsumerDisabled) => route with { Disabled = true },
        _ => route,
    };

    public static bool EndsAll(Recorded e) => e.Type == "organization_closed";

    public static Message? Send(string route, ConsumerRoute to, Recorded e)
    {
        var consumer = ConsumerOf(route);
        if (to.Disabled || IntegrationEvents.Find(e.Type) is not { } type || !to.Wants(type.Type)) return null;
        var id = IdOf(consumer, e.Id, "event");
        return new Message(new EventDelivery(id, consumer, e.Stream, e.Version, to.Ordered)) { Id = id, Key = KeyOf(consumer, to.Ordered, e.Stream, e.Position) };
    }

    public static Sql? Note(IReadOnlyList<Sent<ConsumerRoute>> sent) => DeliveryLog.Note([.. sent.Select(s =>
        new NewDelivery(s.Event.Tenant, s.Id, ConsumerOf(s.Route), "event", s.Event.Id, s.Event.Position, s.Event.Stream, s.Event.Version, IntegrationEvents.Find(s.Event.Type)!.Type, s.Event.At))]);

    /// <summary>
    /// What a delivery keeps its order with. Without an order, a consumer's deliveries are spread over a few lanes, so that no more than these are under way.
    /// </summary>
    public static string KeyOf(Guid consumer, bool ordered, string stream, long position) => ordered
        ? $"{consumer:D}:{(stream.Length <= LongestStream ? stream : Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(stream))))}"
        : string.Create(CultureInfo.InvariantCulture, $"{consumer:D}~{position % AtOnce}");

    /// <summary>The id of the delivery of an event to a consumer, the same whoever makes it.</summary>
    /// <param name="cause">What has it delivered: the event itself, or a replay.</param>
    public static Guid IdOf(Guid consumer, Guid e, string cause)
    {
        var bytes = SHA256.HashData(Encoding.UTF8.GetBytes($"{consumer:D}\n{e:D}\n{cause}")).AsSpan(0, 16);
        // The event's time, so that ids grow with it; UUIDv7 otherwise.
        e.ToByteArray(bigEndian: true).AsSpan(0, 6).CopyTo(bytes);
        bytes[6] = (byte)(0x70 | (bytes[6] & 0x0F));
        bytes[8] = (byte)(0x80 | (bytes[8] & 0x3F));
        return new Guid(bytes, bigEndian: true);
    }

    private static Guid ConsumerOf(string route) => Guid.Parse(route.AsSpan(route.Length - 36));
}
