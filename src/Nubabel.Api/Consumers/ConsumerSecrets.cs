using Nubabel.Api.Host;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Consumers;

/// <summary>
/// The secrets of consumers at rest: sealed under a key of the consumer's own, which the master key wraps. Not as a personal value, which everybody who may read
/// the event would be shown.
/// </summary>
public static class ConsumerSecrets
{
    public static ValueTask<string> Seal(Node node, string tenant, Guid consumer, string secret, CancellationToken ct) =>
        node.Subjects.Seal(tenant, SubjectOf(consumer), secret, ct);

    public static async ValueTask<string> Open(Node node, string tenant, Guid consumer, string cipher, CancellationToken ct) =>
        await node.Open(tenant, new Personal(SubjectOf(consumer), cipher), ct) ?? throw new SubjectErased(SubjectOf(consumer));

    private static string SubjectOf(Guid consumer) => Streams.Of(new Id<Consumer>(consumer));
}
