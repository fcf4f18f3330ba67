using System.Collections.Concurrent;
using System.Diagnostics;

namespace Nubabel.Store;

/// <summary>
/// The opened keys that a node remembers, and texts that it has sealed lately. They are used only while the node hears of destructions: what it has not been told
/// for a moment it does not believe, and asks the database for each key. Bounded; a key that was not used since the last round of the clock makes room for another.
/// </summary>
/// <param name="bound">How many keys are remembered.</param>
internal sealed class KeyCache(int bound)
{
    /// <summary>
    /// How long one look at the destructions is believed, from its beginning on. Below the second within which a destroyed key is forgotten everywhere, with room for what
    /// is already under way.
    /// </summary>
    internal static readonly TimeSpan Believed = TimeSpan.FromMilliseconds(800);

    /// <summary>How many sealed texts are remembered; one more takes the place of another.</summary>
    private const int RecentSeals = 4096;

    private readonly ConcurrentDictionary<(string Tenant, string Subject), Entry> entries = new();
    private readonly Sealed?[] recent = new Sealed?[RecentSeals];

    /// <summary>The entries in the order of the clock; those that were forgotten stay until their turn.</summary>
    private readonly Queue<Entry> clock = new();
    private readonly Lock gate = new();
    private long forgettings;
    private long heard;

    /// <summary>How many keys are remembered now.</summary>
    public int Count => entries.Count;

    /// <summary>Whether a destruction that was committed before the last moment would be known here.</summary>
    public bool IsHeard => Volatile.Read(ref heard) is not 0 and var at && Stopwatch.GetElapsedTime(at) < Believed;

    /// <summary>Taken before keys are read: what is read may be kept only if nothing was forgotten meanwhile.</summary>
    public long Forgettings => Volatile.Read(ref forgettings);

    /// <param name="key">Null where the key is destroyed.</param>
    public bool TryFind(string tenant, string subject, out byte[]? key)
    {
        key = null;
        if (!IsHeard || !entries.TryGetValue((tenant, subject), out var entry)) return false;
        entry.Used = true;
        key = entry.Key;
        return true;
    }

    /// <summary>Remembers what was read.</summary>
    /// <param name="before">The count of forgettings from before it was read: a key that was destroyed since would be remembered for good.</param>
    public void Keep(string tenant, string subject, byte[]? key, long before)
    {
        lock (gate)
        {
            // Nobody tells a node without a watch, so it remembers nothing.
            if (heard == 0 || forgettings != before || entries.ContainsKey((tenant, subject))) return;
            while (clock.Count >= bound) MakeRoom();
            var entry = new Entry(tenant, subject, key);
            entries[(tenant, subject)] = entry;
            clock.Enqueue(entry);
        }
    }

    public void Forget(IEnumerable<(string Tenant, string Subject)> subjects)
    {
        lock (gate)
        {
            Interlocked.Increment(ref forgettings);
            var gone = subjects.ToHashSet();
            foreach (var subject in gone)
                if (entries.TryRemove(subject, out var entry)) entry.Gone = true;
            for (var i = 0; i < recent.Length; i++)
                if (Volatile.Read(ref recent[i]) is { } text && gone.Contains((text.Tenant, text.Subject))) Volatile.Write(ref recent[i], null);
        }
    }

    public void ForgetAll()
    {
        lock (gate)
        {
            Interlocked.Increment(ref forgettings);
            entries.Clear();
            clock.Clear();
            for (var i = 0; i < recent.Length; i++) Volatile.Write(ref recent[i], null);
        }
    }

    /// <summary>All destructions that were committed at that time are forgotten.</summary>
    /// <param name="at">By the clock that is never set; 0: nothing is believed any more.</param>
    public void Hear(long at) => Volatile.Write(ref heard, at);

    /// <summary>A text that was sealed under this very key.</summary>
    public string? Recent(string tenant, string subject, string plain, byte[] key) =>
        // The same key object, so that what is kept here lives no longer than the key does.
        Volatile.Read(ref recent[Place(tenant, subject, plain)]) is { } known && ReferenceEquals(known.Key, key) && known.Plain == plain && known.Subject == subject && known.Tenant == tenant ? known.Text : null;

    public void KeepRecent(string tenant, string subject, string plain, byte[] key, string text)
    {
        var place = Place(tenant, subject, plain);
        var made = new Sealed(key, tenant, subject, plain, text);
        Volatile.Write(ref recent[place], made);
        // A forgetting removes the key first and then looks through the texts: one of the two sees the other.
        if (!entries.TryGetValue((tenant, subject), out var entry) || !ReferenceEquals(entry.Key, key)) Interlocked.CompareExchange(ref recent[place], null, made);
    }

    /// <summary>Whether a text of this subject is in memory here, for the tests.</summary>
    internal bool Remembers(string tenant, string subject) => entries.ContainsKey((tenant, subject)) || recent.Any(r => r is { } text && text.Tenant == tenant && text.Subject == subject);

    private void MakeRoom()
    {
        var oldest = clock.Dequeue();
        if (oldest.Gone) return;
        if (oldest.Used)
        {
            oldest.Used = false;
            clock.Enqueue(oldest);
            return;
        }
        entries.TryRemove((oldest.Tenant, oldest.Subject), out _);
    }

    private static uint Place(string tenant, string subject, string plain) => (uint)HashCode.Combine(tenant, subject, plain) % RecentSeals;

    private sealed class Entry(string tenant, string subject, byte[]? key)
    {
        public string Tenant => tenant;
        public string Subject => subject;
        public byte[]? Key => key;

        /// <summary>Found since the clock came by.</summary>
        public bool Used { get; set; }
        public bool Gone { get; set; }
    }

    private sealed record Sealed(byte[] Key, string Tenant, string Subject, string Plain, string Text);
}
