using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Nubabel.Domain;
using Nubabel.Domain.SignIns;
using Nubabel.Projections;
using Nubabel.Store;

namespace Nubabel.Api.Host;

/// <summary>
/// The lock-out: so many failed sign-ins of one organization and address, and nobody signs in with it for a while. The failures are in the log, so all nodes
/// count together. On one node attempts with the same address wait for each other before anything is hashed, so it is exact there; n nodes let through at most
/// n - 1 more, because each has one attempt under way.
/// </summary>
public sealed class LockOut(Node node, Settings settings)
{
    /// <summary>A guard's stream ends with its period; who guesses without pause fills it with no more than some hundred events.</summary>
    private static readonly TimeSpan Period = TimeSpan.FromHours(6);

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(20);
    private readonly KeyedGates gates = new(mostWaiting: 200);
    private readonly byte[] key = node.Root.Derive("sign-in-guard");

    /// <summary>Begins an attempt: alone with this address on this node until it is disposed of.</summary>
    /// <param name="emailKey">The keyed hash of organization and address.</param>
    /// <exception cref="Problem">429 <c>sign_in.locked</c>.</exception>
    public async Task<Attempt> Begin(string tenant, string emailKey, CancellationToken ct)
    {
        var turn = await gates.Enter($"{tenant}|{emailKey}", LongestWait, ct) ?? throw Problem.RetryLater("service.unavailable", "Too many sign-ins with this address at once.", 5);
        try
        {
            var (now, before) = StreamsOf(emailKey);
            var journal = node.Journal(tenant, new Origin("system:sign-in"));
            var guards = (await journal.Load<SignInGuard>([now, before], ct)).Select(g => g.State).ToArray();
            var time = node.Time.GetUtcNow();
            if (guards.Where(g => g.IsLocked(time)).Max(g => g.LockedUntil) is { } until) throw Locked(until - time);
            return new Attempt(turn, tenant, now, before, guards[0], guards[1], settings.Limits, node);
        }
        catch
        {
            turn.Dispose();
            throw;
        }
    }

    /// <summary>Frees an address, as part of a commit.</summary>
    public IReadOnlyList<Step> Free(string emailKey)
    {
        var (now, before) = StreamsOf(emailKey);
        return [new Step<SignInGuard>(now, new ClearSignIns()), new Step<SignInGuard>(before, new ClearSignIns())];
    }

    /// <summary>The streams in which failures with an address may stand since a time, named or not by an account that has it.</summary>
    public IEnumerable<string> Since(string emailKey, DateTimeOffset from)
    {
        for (var number = from.UtcTicks / Period.Ticks; number <= node.Time.GetUtcNow().Ticks / Period.Ticks; number++) yield return Streams.Of(Named(emailKey, number));
    }

    // Named by the period, so that the streams that are loaded stay short.
    private (Id<SignInGuard> Now, Id<SignInGuard> Before) StreamsOf(string emailKey)
    {
        var period = node.Time.GetUtcNow().Ticks / Period.Ticks;
        return (Named(emailKey, period), Named(emailKey, period - 1));
    }

    private Id<SignInGuard> Named(string emailKey, long number)
    {
        var hash = HMACSHA256.HashData(key, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{emailKey}|{number}"))).AsSpan(0, 16);
        // A UUID of version 8 (RFC 9562 §5.8): what it is made of is our own business.
        hash[6] = (byte)(0x80 | (hash[6] & 0x0F));
        hash[8] = (byte)(0x80 | (hash[8] & 0x3F));
        return new Id<SignInGuard>(new Guid(hash, bigEndian: true));
    }

    private static Problem Locked(TimeSpan wait) =>
        Problem.RetryLater("sign_in.locked", "Too many sign-ins with this address have failed; wait, or set a new password by mail.", Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)));

    /// <summary>One attempt; it ends in a failure that is recorded, in steps that clear what failed before, or in nothing.</summary>
    public sealed class Attempt(IDisposable turn, string tenant, Id<SignInGuard> now, Id<SignInGuard> before, SignInGuard guard, SignInGuard earlier, Limits limits, Node node) : IDisposable
    {
        /// <summary>To be committed with what the right password leads to; mostly nothing.</summary>
        public IReadOnlyList<Step> Cleared() =>
        [
            .. guard.IsClear ? [] : new[] { new Step<SignInGuard>(now, new ClearSignIns()) },
            .. earlier.IsClear ? [] : new[] { new Step<SignInGuard>(before, new ClearSignIns()) },
        ];

        /// <summary>Records that it failed. Before the answer, which the next attempt must not overtake; and to the end, though the client goes away.</summary>
        /// <param name="account">The stream of the account that has the address, null where none has. It is the subject of the caller's address and agent.</param>
        public async Task Fail(RequestScope scope, string? account)
        {
            // Whoever guesses from inside a session is named by it.
            var actor = scope.IsSignedIn ? scope.Caller.Actor : Actor.System("sign-in");
            var subject = Streams.Of(now);
            var fail = new FailSignIn(limits.FailedSignIns, limits.SignInWindowSeconds, earlier.Counting(node.Time.GetUtcNow()), account);
            try
            {
                // A subject of its own has its key made now. So has an account's guard, though it is not used: or the time would tell which it was.
                await node.Subjects.Seal(tenant, subject, "", CancellationToken.None);
                await scope.JournalBeside(tenant, actor, account ?? subject).Handle(now, fail, CancellationToken.None);
            }
            catch (SubjectErased)
            {
                // Who has the address was erased within the period: it counts, and from where it came is not kept.
                await node.Journal(tenant, scope.Origin(actor, subject) with { Subject = null }).Handle(now, fail, CancellationToken.None);
            }
        }

        public void Dispose() => turn.Dispose();
    }
}
