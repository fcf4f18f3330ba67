using Nubabel.Api.Host;
using Nubabel.Projections.Consumers;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>Old deliveries are to be deleted.</summary>
public sealed record ExpireDeliveries;

/// <summary>Deletes what the log of deliveries need not remember any more, once an hour, on whichever node.</summary>
public static class DeliveryExpiry
{
    public static Schedule Schedule { get; } = new(Node.Platform, "delivery-log", "23 * * * *", new ExpireDeliveries());

    public static async Task Run(Node node, CancellationToken ct)
    {
        while (await DeliveryLog.Expire(node.EveryonesWriter, ct) > 0) ct.ThrowIfCancellationRequested();
    }
}
