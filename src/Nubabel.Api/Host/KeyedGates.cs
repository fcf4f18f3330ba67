namespace Nubabel.Api.Host;

/// <summary>One at a time per key, in this process. Who leaves last takes a gate down, so there are never more of them than requests.</summary>
/// <param name="mostWaiting">At one gate; whoever comes after them is not let in.</param>
public sealed class KeyedGates(int mostWaiting)
{
    private readonly Dictionary<string, Gate> gates = [];

    /// <summary>The turn, which is over when it is disposed of; null when there were too many or it took too long.</summary>
    public async Task<IDisposable?> Enter(string key, TimeSpan longestWait, CancellationToken ct)
    {
        Gate? gate;
        lock (gates)
        {
            if (!gates.TryGetValue(key, out gate)) gates[key] = gate = new Gate();
            if (gate.Inside > mostWaiting) return null;
            gate.Inside++;
        }
        var entered = false;
        try
        {
            entered = await gate.Turn.WaitAsync(longestWait, ct);
            return entered ? new Inside(this, key, gate) : null;
        }
        finally
        {
            if (!entered) Leave(key, gate);
        }
    }

    private void Leave(string key, Gate gate)
    {
        lock (gates)
        {
            if (--gate.Inside > 0) return;
            gates.Remove(key);
        }
        gate.Turn.Dispose();
    }

    private sealed class Gate
    {
        public SemaphoreSlim Turn { get; } = new(1);

        /// <summary>Who holds the gate or waits at it; counted under the lock of all gates.</summary>
        public int Inside { get; set; }
    }

    private sealed class Inside(KeyedGates gates, string key, Gate gate) : IDisposable
    {
        private int left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref left, 1) != 0) return;
            gate.Turn.Release();
            gates.Leave(key, gate);
        }
    }
}
