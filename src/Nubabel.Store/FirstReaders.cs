using System.Collections.Concurrent;

namespace Nubabel.Store;

/// <summary>
/// The streams that are being read at this moment by somebody who remembers nothing of them. Who comes while one is being read waits for it instead of reading all of it as well, and then
/// one of those who have waited reads on from there, for all of them: what each gets is never older than its question.
/// </summary>
internal sealed class FirstReaders
{
    private readonly ConcurrentDictionary<(string Tenant, string Stream), TaskCompletionSource<Seen?>> reads = [];

    /// <summary>How many are under way.</summary>
    public int Count => reads.Count;

    /// <summary>Takes on those streams that nobody reads yet.</summary>
    public Share Begin(string tenant, IEnumerable<string> streams)
    {
        var share = new Share(this, tenant);
        foreach (var stream in streams)
        {
            var mine = new TaskCompletionSource<Seen?>(TaskCreationOptions.RunContinuationsAsynchronously);
            var reading = reads.GetOrAdd((tenant, stream), mine);
            if (reading == mine) share.Mine.Add(stream, mine);
            else share.Others.Add(stream, reading.Task);
        }
        return share;
    }

    /// <summary>What one reader reads for all, and what it gets from others. It reads its own before it waits for theirs, so two never wait for each other.</summary>
    public sealed class Share(FirstReaders all, string tenant) : IDisposable
    {
        internal Dictionary<string, TaskCompletionSource<Seen?>> Mine { get; } = [];

        /// <summary>What others read; null comes where the reader has gone without an answer.</summary>
        public Dictionary<string, Task<Seen?>> Others { get; } = [];

        /// <summary>What was read is given to all who wait for it.</summary>
        public void Give(IReadOnlyDictionary<string, Seen> read) => End(reading => reading.Value.SetResult(read[reading.Key]));

        /// <summary>All who wait hear of it, since they would fare no better; not those who ask for another stream than the one at fault.</summary>
        public void Fail(Exception fault) => End(reading =>
        {
            if (fault is OperationCanceledException || fault is UnreadableEvent other && other.Stream != reading.Key) reading.Value.SetResult(null);
            else reading.Value.SetException(fault);
            // Perhaps nobody waits.
            _ = reading.Value.Task.Exception;
        });

        public void Dispose() => End(reading => reading.Value.SetResult(null));

        private void End(Action<KeyValuePair<string, TaskCompletionSource<Seen?>>> answer)
        {
            foreach (var reading in Mine)
            {
                all.reads.TryRemove((tenant, reading.Key), out _);
                answer(reading);
            }
            Mine.Clear();
        }
    }
}
