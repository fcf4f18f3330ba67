using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;
using Nubabel.Domain;

namespace Nubabel.Api.Host;

/// <summary>
/// Hashes and checks passwords with the framework's PBKDF2 (HMAC-SHA512). Hashing is work on purpose, so no more run at once than there are
/// cores: the rest wait a bounded time instead of slowing everything else down.
/// </summary>
public sealed class Passwords : IDisposable
{
    /// <summary>OWASP's figure for PBKDF2-HMAC-SHA512, Password Storage Cheat Sheet, 2023.</summary>
    public const int Iterations = 210_000;

    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(10);
    private readonly PasswordHasher<Passwords> hasher;
    private readonly SemaphoreSlim turns = new(Math.Max(1, Environment.ProcessorCount));
    private readonly string nobodys;

    /// <param name="iterations">How much work a new hash is; one that is there says itself how much it was.</param>
    public Passwords(int iterations = Iterations)
    {
        hasher = new PasswordHasher<Passwords>(Options.Create(new PasswordHasherOptions { IterationCount = iterations }));
        nobodys = hasher.HashPassword(this, Guid.NewGuid().ToString());
    }

    public Task<string> Hash(Password password, CancellationToken ct) => InTurn(() => hasher.HashPassword(this, password.Value), ct);

    /// <summary>Whether the password is right. Without a hash to compare it takes as long, and is wrong.</summary>
    public async Task<bool> Verify(string? hash, string password, CancellationToken ct) =>
        await InTurn(() => hasher.VerifyHashedPassword(this, hash ?? nobodys, password) != PasswordVerificationResult.Failed, ct) && hash is not null;

    public void Dispose() => turns.Dispose();

    private async Task<T> InTurn<T>(Func<T> work, CancellationToken ct)
    {
        if (!await turns.WaitAsync(LongestWait, ct)) throw Problem.RetryLater("service.unavailable", "Too many sign-ins at once.", 5);
        try
        {
            return await Task.Run(work, ct);
        }
        finally
        {
            turns.Release();
        }
    }
}
