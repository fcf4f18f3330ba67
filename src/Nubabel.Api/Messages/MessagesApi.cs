using Nubabel.Api.Host;
using Nubabel.Api.Host.OpenApi;
using Nubabel.Store;

namespace Nubabel.Api.Messages;

/// <summary>The queues of durable messages.</summary>
/// <param name="Errors">What fails again and again in this process; empty when all is well.</param>
public sealed record MessagesShown(IReadOnlyList<QueueLook> Queues, IReadOnlyList<string> Errors);

/// <summary>What operators see of the queues.</summary>
public static class MessagesApi
{
    /// <summary>Whoever asks more often is told the same.</summary>
    private static readonly TimeSpan Moment = TimeSpan.FromSeconds(1);

    public static void MapMessages(this IEndpointRouteBuilder app) =>
        app.MapGet("/api/admin/messages", All).WithTags("Messages").Needs(LetterViews.See).Answers200<MessagesShown>().WithExample(response: """
            {"queues":[{"queue":"mail","messages":1200,"ready":1190,"isExact":true,"deferred":3,"inHand":10,"waiting":0,"parked":0,"hanging":0,"deadLetters":2,"oldestSeconds":412.5,"workers":0,"isKnown":true,
            "stalled":"Nobody works on mail, and work has been ready for 412 s."}],"errors":[]}
            """);

    private static async Task<IResult> All(MessageWatch watch, MessageDaemon messages, CancellationToken ct) =>
        Results.Json(new MessagesShown(await watch.Look(Moment, ct), messages.Errors), Json.Options);
}
