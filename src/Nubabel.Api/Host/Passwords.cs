using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Nubabel.Domain;

namespace Nubabel.Api.Host;

/// <summary>Whether a password is right, and whether its hash should be made anew.</summary>
public enum Verdict
{
    Wrong,
    Right,

    /// <summary>Right, and hashed at a lower cost than today's.</summary>
    RightButCheap,
}

/// <summary>Who waits with whom for a turn at hashing.</summary>
public enum Lane
{
    Tenants,

    /// <summary>A flood of sign-ins to organizations keeps no operator out.</summary>
    Operators,
}

/// <summary>
/// Hashes and checks passwords with the framework's PBKDF2 (HMAC-SHA512). Hashing is work on purpose, so in each lane no more run at once than it has
/// turns: the rest wait a bounded time, in bounded number, instead of slowing everything else down.
/// </summary>
public sealed class Passwords : IDisposable
{
    /// <summary>OWASP's figure for PBKDF2-HMAC-SHA512, Password Storage Cheat Sheet, 2023.</summary>
    public const int Iterations = 210_000;

    /// <summary>In a lane; whoever comes after them would not get a turn in time.</summary>
    private const int MostWaiting = 500;

    /// <summary>Nobody's password is longer; a longer one is hashed as far as this and wrong, so that it takes no longer than any other.</summary>
    private const int LongestSecret = 1024;

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);
    private readonly PasswordHasher<Passwords> hasher;
    private readonly Turns tenants = new(Math.Max(1, Environment.ProcessorCount));
    private readonly Turns operators = new(1);
    private readonly string nobodys;

    /// <param name="iterations">How much work a new hash is; one that is there says itself how much it was.</param>
    public Passwords(int iterations = Iterations)
    {
        hasher = new PasswordHasher<Passwords>(Options.Create(new PasswordHasherOptions { IterationCount = iterations }));
        nobodys = hasher.HashPassword(this, Guid.NewGuid().ToString());
    }

    public Task<string> Hash(Password password, CancellationToken ct) => HashAgain(password.Value, ct);

    /// <summary>Hashes a password that was accepted once, whatever the rules for new ones say today.</summary>
    public Task<string> HashAgain(string password, CancellationToken ct) => InTurn(tenants, () => hasher.HashPassword(this, Password.Normalise(password)), ct);

    /// <summary>Whether the password is right. Without a hash to compare it takes as long, and is wrong.</summary>
    public async Task<Verdict> Verify(string? hash, string password, CancellationToken ct, Lane lane = Lane.Tenants)
    {
        var tooLong = password.Length > LongestSecret;
        var typed = Password.Normalise(tooLong ? password[..LongestSecret] : password);
        var result = await InTurn(lane == Lane.Operators ? operators : tenants, () => hasher.VerifyHashedPassword(this, hash ?? nobodys, typed), ct);
        if (hash is null || tooLong) return Verdict.Wrong;
        return result switch
        {
            PasswordVerificationResult.Success => Verdict.Right,
            PasswordVerificationResult.SuccessRehashNeeded => Verdict.RightButCheap,
            _ => Verdict.Wrong,
        };
    }

    public void Dispose()
    {
        tenants.Dispose();
        operators.Dispose();
    }

    private static async Task<T> InTurn<T>(Turns lane, Func<T> work, CancellationToken ct)
    {
        if (!await lane.Wait(ct)) throw Problem.RetryLater("service.unavailable", "Too many sign-ins at once.", 5);
        try
        {
            return await Task.Run(work, ct);
        }
        finally
        {
            lane.Release();
        }
    }

    private sealed class Turns(int count) : IDisposable
    {
        private readonly SemaphoreSlim free = new(count);
        private int waiting;

        public async Task<bool> Wait(CancellationToken ct)
        {
            try
            {
                return Interlocked.Increment(ref waiting) <= MostWaiting && await free.WaitAsync(LongestWait, ct);
            }
            finally
            {
                Interlocked.Decrement(ref waiting);
            }
        }

        public void Release() => free.Release();
        public void Dispose() => free.Dispose();
    }
}
