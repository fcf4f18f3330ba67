using System.Threading.Channels;
using Nubabel.Store;

namespace Nubabel.Api.Jobs;

/// <summary>
/// Writes how far a job is, once a second at most however often it is told, and the last word without being told again. A write that fails is left out: the
/// job does not depend on it.
/// </summary>
public sealed class JobProgress : IAsyncDisposable
{
    /// <summary>The longest text, in characters.</summary>
    public const int LongestText = 200;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private sealed record Said(long Done, long? Total, string? Text);

    private readonly MessageContext message;
    private readonly Channel<Said> news = Channel.CreateBounded<Said>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
    private readonly CancellationTokenSource ends = new();
    private readonly Task loop;

    internal JobProgress(MessageContext message)
    {
        this.message = message;
        loop = Task.Run(Write);
    }

    /// <summary>How far it is. Numbers below 0 are taken for 0.</summary>
    public void Report(long done, long? total, string? text) =>
        news.Writer.TryWrite(new Said(Math.Max(0, done), total is { } t ? Math.Max(0, t) : null, text is { Length: > LongestText } ? text[..LongestText] : text));

    /// <summary>Writes what was said last, and that the attempt has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        news.Writer.TryComplete();
        await ends.CancelAsync();
        await loop;
        await Tried(() => MessageRuns.End(message, CancellationToken.None));
        ends.Dispose();
    }

    private async Task Write()
    {
        while (await news.Reader.WaitToReadAsync())
        {
            if (news.Reader.TryRead(out var said)) await Tried(() => MessageRuns.Say(message, said.Done, said.Total, said.Text, CancellationToken.None));
            await Task.Delay(Pause, ends.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task Tried(Func<Task> write)
    {
        try
        {
            await write();
        }
        catch (Exception failure) when (failure is Npgsql.NpgsqlException or TimeoutException)
        {
            // Somebody reads an older number; the next one may come through.
        }
    }
}
